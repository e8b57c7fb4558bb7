# Freezes what lme4, emmeans and car say about the simulated data:
#
#     Rscript tests/analysis/reference/freeze.R FOLDER
#
# reads FOLDER/*.csv and writes FOLDER/<model>.json. See the README beside this file.

needed <- c("lme4", "emmeans", "car", "jsonlite")
missing <- needed[!vapply(needed, requireNamespace, NA, quietly = TRUE)]
folder <- commandArgs(trailingOnly = TRUE)
if (length(missing)) {
  message("R has no package ", paste(missing, collapse = ", "), ": install ",
          paste0("r-cran-", missing, collapse = " "), ", or use install.packages()")
  quit(status = 1)
}
if (length(folder) != 1 || !dir.exists(folder)) {
  message("usage: Rscript freeze.R FOLDER, where FOLDER has the CSV files")
  quit(status = 1)
}
suppressPackageStartupMessages(library(lme4))

models <- list(
  crossed = list("study", "correct ~ condition * network + (1 | participant) + (1 | class_label)"),
  crossed_sum = list("study", coding = "sum",
    "correct ~ condition * network + (1 | participant) + (1 | class_label)"),
  crossed_helmert = list("study", coding = "helmert",
    "correct ~ condition * network + (1 | participant) + (1 | class_label)"),
  interaction_group = list("study", paste("correct ~ condition * network + (1 | participant)",
    "+ (1 | class_label) + (1 | class_label:network)")),
  factor_slope = list("study",
    "correct ~ condition + network + (1 | participant) + (1 + network | class_label)"),
  idle_group = list("study", "correct ~ condition + (1 | participant) + (1 | session)"),
  slope = list("gaps", "correct ~ gap + (1 + gap | participant) + (1 | pair)"),
  slope_uncorrelated = list("gaps", "correct ~ gap + (gap || participant) + (1 | pair)"),
  slope_boundary = list("gaps", scaled = "year",
    "correct ~ gap + year + (gap || participant) + (1 + gap | pair)"),
  year = list("gaps", scaled = "year", "correct ~ gap + year + (1 | participant) + (1 | pair)"),
  nested = list("labs", "correct ~ difficulty + (1 | lab/participant)"),
  counts = list("counts", "cbind(hits, misses) ~ condition * network + (1 | participant)"),
  counts_9_points = list("counts", points = 9,
    "cbind(hits, misses) ~ condition * network + (1 | participant)")
)

# ---- fits ------------------------------------------------------------------------------------

attempt <- function(formula, data, points, tolerance, start = NULL) {
  control <- glmerControl("bobyqa", optCtrl = list(maxfun = 1e6, rhoend = 1e-9),
                          tolPwrss = tolerance)
  call <- list(formula, data = data, family = binomial, nAGQ = points, control = control)
  tryCatch(suppressWarnings(suppressMessages(do.call(glmer, c(call, list(start = start))))),
           error = function(problem) NULL)
}

# The best of several starts, each run again from where it ended: lme4 may stop early.
best_fit <- function(formula, data, points) {
  identity <- glFormula(formula, data, binomial)$reTrms$theta
  for (tolerance in c(1e-13, 1e-12, 1e-11)) {
    fits <- lapply(c(1, 0.3, 2), function(size)
      attempt(formula, data, points, tolerance, list(theta = size * identity)))
    again <- lapply(Filter(Negate(is.null), fits), function(fit)
      attempt(formula, data, points, tolerance,
              list(theta = getME(fit, "theta"), fixef = fixef(fit))))
    fits <- Filter(Negate(is.null), c(fits, again))
    if (length(fits)) return(fits[[which.max(vapply(fits, logLik, 0))]])
  }
  stop("no start gives a fit of ", deparse(formula))
}

# What a Newton step would still add to the log-likelihood, parameters at a bound aside.
still_to_gain <- function(fit) {
  theta <- getME(fit, "theta")
  free <- c(abs(theta) > 1e-4 | getME(fit, "lower") < 0, rep(TRUE, length(fixef(fit))))
  slope <- fit@optinfo$derivs$gradient[free]
  drop(slope %*% solve(fit@optinfo$derivs$Hessian[free, free], slope)) / 4
}

# ---- tables ----------------------------------------------------------------------------------

plain <- function(table, term = NULL) {
  table <- as.data.frame(table)
  if (!is.null(term)) table <- cbind(setNames(data.frame(rownames(table)), term), table)
  rownames(table) <- NULL
  table
}

# Estimates of covariates that were standardised for the fit, in the units of the data.
coefficients_of <- function(fit, scales) {
  names <- names(fixef(fit))
  back <- diag(length(names))
  dimnames(back) <- list(names, names)
  for (name in names(scales)) {
    back[name, name] <- 1 / scales[[name]][["sd"]]
    back["(Intercept)", name] <- -scales[[name]][["mean"]] / scales[[name]][["sd"]]
  }
  covariance <- back %*% as.matrix(vcov(fit)) %*% t(back)
  data.frame(term = names, estimate = drop(back %*% fixef(fit)), se = sqrt(diag(covariance)),
             row.names = NULL)
}

variances <- function(fit) {
  table <- as.data.frame(VarCorr(fit))
  data.frame(group = sub("\\.\\d+$", "", table$grp), name = table$var1, with = table$var2,
             sd_or_correlation = table$sdcor)
}

modes <- function(fit) {
  table <- as.data.frame(ranef(fit, condVar = TRUE))
  parts <- split(table, list(table$grpvar, table$term), drop = TRUE)
  lapply(unname(parts), function(part) list(
    group = as.character(part$grpvar[1]), name = as.character(part$term[1]),
    levels = as.character(part$grp), mode = part$condval, se = part$condsd))
}

emmeans_of <- function(fit) {
  set.seed(1)  # Dunnett's probabilities are integrated by random points
  link <- function(what, ...) plain(summary(emmeans::emmeans(fit, what), infer = TRUE, ...))
  condition <- emmeans::emmeans(fit, ~condition)
  pairs_of <- function(adjust) plain(summary(pairs(condition, adjust = adjust), infer = TRUE))
  adjustments <- c("tukey", "holm", "fdr", "sidak", "bonferroni", "none")
  list(
    condition_link = link(~condition), network_link = link(~network),
    condition_response = link(~condition, type = "response"),
    cells_link = link(~ condition | network),
    pairs_condition = sapply(adjustments, pairs_of, simplify = FALSE),
    odds_ratios = plain(summary(pairs(condition), type = "response", infer = TRUE)),
    versus_control = plain(summary(emmeans::contrast(condition, "trt.vs.ctrl", adjust = "mvt"),
                                   infer = TRUE)))
}

likelihood_ratio <- function(fit, formula, without, data) {
  smaller <- best_fit(update(formula, without), data, 1)
  test <- anova(smaller, fit)
  list(chisq = test$Chisq[2], df = test$Df[2], p = test[["Pr(>Chisq)"]][2])
}

inference <- function(name, fit, formula, data) {
  if (name == "crossed") return(suppressMessages(list(
    anova2 = plain(car::Anova(fit, type = 2), "term"),
    lrt_interaction = likelihood_ratio(fit, formula, . ~ . - condition:network, data),
    emmeans = emmeans_of(fit))))
  if (name == "crossed_sum") return(list(anova3 = plain(car::Anova(fit, type = 3), "term")))
  list()
}

# ---- the frozen results ------------------------------------------------------------------------

versions <- c(R = as.character(getRversion()),
              sapply(needed[1:3], function(name) as.character(packageVersion(name))))

freeze <- function(name) {
  model <- models[[name]]
  file <- paste0(model[[1]], ".csv")
  text <- Filter(function(part) grepl("~", part), model)[[1]]
  points <- if (is.null(model$points)) 1L else as.integer(model$points)
  coding <- if (is.null(model$coding)) "treatment" else model$coding
  options(contrasts = c(paste0("contr.", coding), "contr.poly"))
  data <- read.csv(file.path(folder, file), stringsAsFactors = TRUE)
  scales <- lapply(data[model$scaled], function(x) list(mean = mean(x), sd = sd(x)))
  for (column in model$scaled) data[[column]] <- as.numeric(scale(data[[column]]))
  formula <- as.formula(text, env = globalenv())
  fit <- best_fit(formula, data, points)
  gain <- still_to_gain(fit)
  if (!(abs(gain) < 1e-7)) stop(name, ": lme4 stopped ", gain, " below its maximum")
  result <- c(list(
    formula = text, data = file, coding = coding, quadrature = points,
    logLik = c(logLik(fit)), df = attr(logLik(fit), "df"), AIC = AIC(fit), BIC = BIC(fit),
    nobs = nobs(fit), fixef = coefficients_of(fit, scales), theta = as.list(getME(fit, "theta")),
    varcorr = variances(fit), ranef = modes(fit), isSingular = isSingular(fit),
    still_to_gain = gain, versions = as.list(versions)), inference(name, fit, formula, data))
  json <- jsonlite::toJSON(result, digits = I(13), auto_unbox = TRUE, pretty = 1,
                           dataframe = "columns", na = "null")
  writeLines(json, file.path(folder, paste0(name, ".json")))
  cat(sprintf("%-20s logLik %.9f  still to gain %.1e  %s\n", name, result$logLik, gain,
              if (result$isSingular) "singular" else ""))
}

for (name in names(models)) freeze(name)
