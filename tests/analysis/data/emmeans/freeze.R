# Simulates a study with uneven cells and prints what lme4, car, emmeans and mvtnorm make of it.
# Run in this folder: Rscript freeze.R   (writes uneven.csv and expected.json; needs mvtnorm too)
suppressMessages({library(lme4); library(car); library(emmeans); library(jsonlite)})
RNGkind(sample.kind = "Rejection"); set.seed(20)

d <- expand.grid(network = c("n1", "n2"), item = sprintf("i%02d", 1:10), participant = sprintf("p%02d", 1:40))
d <- d[, c("participant", "item", "network")]
person <- as.integer(d$participant); item <- as.integer(d$item)
d$group <- c("control", "maco", "olah")[c(rep(1, 10), rep(2, 17), rep(3, 13))[person]]
d$block <- c("x", "y")[1 + item %% 2]
d$age <- round(runif(40, 19, 66))[person]
d$expert <- rbinom(40, 1, .3)[person]
eta <- .2 + .7 * (d$group == "maco") + .3 * (d$group == "olah") - .5 * (d$network == "n2") +
  .6 * (d$group == "maco" & d$network == "n2") + .4 * (d$block == "y") + .015 * (d$age - 40) +
  .3 * d$expert + rnorm(40, 0, .6)[person] + rnorm(40, 0, .4)[person] * (d$network == "n2") +
  rnorm(10, 0, .4)[item]
d$correct <- rbinom(nrow(d), 1, plogis(eta))
d <- d[runif(nrow(d)) > .25 * (d$block == "x") + .1 * (d$network == "n1"), ]
write.csv(d, "uneven.csv", row.names = FALSE, quote = FALSE)

ctl <- glmerControl(optimizer = "bobyqa", tolPwrss = 1e-13,
                    optCtrl = list(maxfun = 1e5, rhoend = 1e-9), check.conv.grad = "ignore")
# The call is made with the names of its parts, which drop1 and update look up again.
fit <- function(f, data = d) eval(bquote(
  glmer(.(f), data = .(substitute(data)), family = binomial, control = ctl)), globalenv())
rows <- function(x) as.data.frame(summary(x, infer = TRUE))
wald <- function(m, type) { a <- as.data.frame(Anova(m, type = type)); names(a) <- c("chisq", "df", "p"); a$term <- rownames(a); a }
dropped <- function(m) { a <- as.data.frame(drop1(m, test = "Chisq")); names(a) <- c("df", "aic", "chisq", "p"); a$term <- rownames(a); a }
lrt <- function(a, b) { x <- as.data.frame(anova(a, b)); list(chisq = x$Chisq[2], df = x$Df[2], p = x$`Pr(>Chisq)`[2]) }
family <- function(e, adjust, ...) rows(contrast(e, adjust = adjust, ...))

three <- fit(correct ~ group * network * block + age + expert + (1 | participant) + (1 | item))
two <- fit(correct ~ group * network + block + age + (1 | participant) + (1 | item))
additive <- fit(correct ~ group + network + block + log(age) + (1 | participant) + (1 | item))
e_g <- suppressMessages(emmeans(three, ~ group)); e_gn <- suppressMessages(emmeans(three, ~ group * network))
e_gbn <- suppressMessages(emmeans(three, ~ group | network))
out <- list(
  three = list(
    anova2 = wald(three, 2), drop1 = dropped(three),
    emm_group = rows(e_g), emm_cell = rows(e_gn),
    emm_response = as.data.frame(summary(e_g, type = "response")),
    emm_group_by_network_block = rows(emmeans(three, ~ group | network + block)),
    pairs_by_network = rows(pairs(e_gbn)),
    pairs_cells = rows(pairs(e_gn)),
    interaction = rows(contrast(e_gn, interaction = "pairwise")),
    custom = rows(contrast(e_g, list(others = c(-1, .5, .5), last = c(0, -1, 1)))),
    dunnett_mvt = rows(contrast(e_g, "trt.vs.ctrl", adjust = "mvt")),
    dunnett_mvt_by = rows(contrast(e_gbn, "trt.vs.ctrl", ref = "olah", adjust = "mvt"))),
  two = list(anova2 = wald(two, 2), drop1 = dropped(two)),
  additive = list(
    drop1 = dropped(additive), emm_group = rows(emmeans(additive, ~ group)),
    lrt_group = lrt(update(additive, . ~ . - group), additive)))

sum_coded <- list(group = "contr.sum", network = "contr.sum")
m <- glmer(correct ~ group * network + block + age + (1 | participant) + (1 | item), d,
           family = binomial, control = ctl, contrasts = c(sum_coded, block = "contr.sum"))
out$two$anova3 <- wald(m, 3)

gap <- d[!(d$group == "olah" & d$network == "n2"), ]
m <- suppressMessages(fit(correct ~ group * network + (1 | participant) + (1 | item), gap))
out$gap <- list(logLik = as.numeric(logLik(m)), drop1 = suppressMessages(dropped(m)),
  emm_cell = rows(emmeans(m, ~ group * network)), emm_group = rows(emmeans(m, ~ group)),
  pairs_by_network = rows(pairs(emmeans(m, ~ group | network))))

counts <- aggregate(cbind(successes = correct, trials = 1) ~ participant + group + network, d, sum)
m <- fit(cbind(successes, trials - successes) ~ group * network + (1 | participant), counts)
out$counts <- list(anova2 = wald(m, 2), emm_network = rows(emmeans(m, ~ network)),
  pairs_by_group = rows(pairs(emmeans(m, ~ network | group))),
  pairs_group = rows(pairs(emmeans(m, ~ group), adjust = "holm")))

slopes <- fit(correct ~ group + network + (1 + network | participant) + (1 | item))
intercepts <- fit(correct ~ group + network + (1 | participant) + (1 | item))
v <- VarCorr(slopes)$participant; Z <- model.matrix(~ network, d)
out$slopes <- list(anova2 = wald(slopes, 2), lrt_random = lrt(intercepts, slopes),
  variance_random = c(participant = mean(rowSums((Z %*% v) * Z)), item = VarCorr(slopes)$item[1]),
  variance_fixed = var(as.vector(model.matrix(slopes) %*% fixef(slopes))))
writeLines(toJSON(out, digits = I(12), auto_unbox = TRUE, na = "null", pretty = FALSE), "expected.json")
