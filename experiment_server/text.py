"""Every sentence a participant reads, under a plain key, and the questions of the quiz.

A study file replaces any of them by its key (`participant_text`). The words are the same in every
condition: the condition is dealt only after the quiz.
"""

from __future__ import annotations

from dataclasses import dataclass

from stimuli.schema import Study


@dataclass(frozen=True)
class Question:
    """A question with one right answer. options: (key, text), in the order shown."""

    key: str
    text: str
    options: tuple[tuple[str, str], ...]
    right: str


QUIZ: tuple[Question, ...] = (
    Question(
        "task",
        "Which of the two photographs should you choose?",
        (
            ("mine", "The one that I find more beautiful"),
            ("network", "The one that the network likes more"),
            ("larger", "The one where less of the photograph is hidden"),
        ),
        right="network",
    ),
    Question(
        "square",
        "What does the plain square in a photograph do?",
        (
            ("hides", "It hides a part of the photograph from the network"),
            ("marks", "It marks the part that matters most"),
            ("click", "It shows me where to click"),
        ),
        right="hides",
    ),
    Question(
        "unsure",
        "What should you do when you are not sure?",
        (
            ("left", "Always choose the left photograph"),
            ("wait", "Wait until the answer is shown"),
            ("guess", "Choose the one that seems more likely to me"),
        ),
        right="guess",
    ),
)

TEXT: dict[str, str] = {
    # Every page
    "page.path": "Your way through the study",
    "page.path.consent": "Welcome",
    "page.path.instructions": "Instructions",
    "page.path.practice": "Practice",
    "page.path.main": "Main part",
    "page.path.finish": "Finish",
    "page.skip": "Skip to the content",
    "page.leave": "Leave the study",
    "page.no_script": "This study needs JavaScript. Please turn it on in your browser, and reload.",
    # Welcome and consent
    "welcome.title": "Welcome",
    "welcome.back": "Welcome back",
    "welcome.lead": "Thank you for your interest in this study on how computers see.",
    "welcome.what.title": "What you will do",
    "welcome.what": "You will see pairs of photographs, and choose the one that you think a "
    "computer program likes more. You do not need to know anything about computers.",
    "welcome.time.title": "How long it takes",
    "welcome.time": "About ten minutes, in one sitting. Please use a computer with a keyboard, and "
    "find a quiet place.",
    "welcome.data.title": "Your data",
    "welcome.data": "We keep your answers, how long each took, and a few facts about your browser "
    "and screen. They are stored under a random code, without your name. Your Prolific ID is kept "
    "apart from them, and is used only to pay you. The data without names may be shared with other "
    "scientists.",
    "welcome.free.title": "You are free to stop",
    "welcome.free": "Taking part is your choice. You can leave at any time with the link at the "
    "bottom of each page, and have your data deleted, without giving a reason. We know of no risk.",
    "welcome.ask": "If you are at least 18 years old, have read the above and want to take part, "
    "please choose “I agree”.",
    "welcome.agree": "I agree, and want to take part",
    "welcome.decline": "I do not want to take part",
    # Device check
    "device.title": "A look at your screen",
    "device.lead": "The pictures need some room. We check that they fit in your window.",
    "device.window": "Size of the window",
    "device.window.is": "Your window is {width} by {height} pixels.",
    "device.window.wanted": "It should be at least {width} by {height}.",
    "device.window.fix": "Please make this window larger, or full screen (key F11). You can also "
    "zoom out: press Ctrl (on a Mac Command) and the minus key. This page will notice by itself.",
    "device.pointer": "Mouse, touchpad or touch screen",
    "device.pointer.mouse": "You have a mouse or a touchpad.",
    "device.pointer.touch": "You have a touch screen.",
    "device.pointer.pen": "You have a pen.",
    "device.pointer.unknown": "We could not tell, which is fine.",
    "device.pointer.fix": "This study cannot be taken with it. Please open the study again on a "
    "computer with a mouse or a touchpad.",
    "device.screen": "Speed of your screen",
    "device.screen.measuring": "One moment, we measure it.",
    "device.screen.done": "Measured.",
    "device.continue": "Continue",
    "device.problem": "Not everything is as it should be yet. Please look at the list below.",
    "device.give_up.lead": "Does it not work on this device?",
    "device.give_up": "End the study here",
    # Instructions
    "instructions.title": "What you will do",
    "instructions.lead": "A network is a computer program that has learned to recognize things in "
    "photographs. Each time, it looks for one kind of thing. The more it sees of it, the more it "
    "likes the photograph. You will find out what a network likes.",
    "instructions.references.title": "Left: what the network likes",
    "instructions.references": "These pictures were made by the computer. They show what the "
    "network looks for. They can look strange: look for shapes, textures and colors.",
    "instructions.references.some": "For some people the left side stays empty. If it does for "
    "you, please answer from the photographs alone.",
    "instructions.queries.title": "Right: two photographs",
    "instructions.queries": "Both are the same photograph, but in each of them a plain square "
    "hides another part. The network cannot see what is behind the square.",
    "instructions.choice.title": "You choose",
    "instructions.choice": "Which of the two does the network like more? If the square hides what "
    "the network looks for, it likes the photograph less.",
    "instructions.keys": "Click on the photograph, or press a key: F or ← for the left one, J or → "
    "for the right one.",
    "instructions.unsure": "Often you will not be sure. That is fine: please choose the one that "
    "seems more likely to you. Take the time you need, but do not stop for long.",
    "instructions.next": "Next come a few questions about these instructions, and then some "
    "practice.",
    "instructions.continue": "Continue",
    "instructions.figure.references": "A grid of four strange patterns, with the colors, eyes and "
    "feathers of a bird.",
    "instructions.figure.queries": "The same drawing of a bird by a lake, twice. On the left a "
    "plain square hides the bird, on the right it hides a piece of the sky.",
    "instructions.figure.choice": "The photograph on the right has been chosen: it has a frame.",
    # Quiz
    "quiz.title": "A few questions",
    "quiz.lead": "Before we start: is it clear what to do? Please choose one answer for each "
    "question.",
    "quiz.attempts": "You can hand in your answers {attempts} times.",
    "quiz.again": "Not every answer was right. Please look again at the questions that are marked.",
    "quiz.last": "You can hand in your answers once more.",
    "quiz.wrong": "Please look at this one again.",
    "quiz.back": "Read the instructions again",
    "quiz.continue": "Hand in",
    # The task
    "task.question": "Which photograph does the network like more?",
    "task.references": "What the network likes",
    "task.base": "The whole photograph",
    "task.left": "Left picture",
    "task.right": "Right picture",
    "task.keys": "Click on a photograph, or press F or ← for left, J or → for right.",
    "task.loading": "The pictures are being loaded.",
    "task.slow": "Some pictures are slow to arrive. We keep trying; there is nothing you need to "
    "do.",
    "task.practice.title": "Practice",
    "task.practice": "First, some practice. After each choice we tell you whether it was right.",
    "task.practice.again.title": "A little more practice",
    "task.practice.again": "Not enough answers were right this time, which happens to many "
    "people. Please try once more: look for what the pictures on the left have in common with the "
    "photographs.",
    "task.main.title": "The main part",
    "task.main": "Now the main part begins. It goes on in the same way, but we no longer tell you "
    "whether you were right.",
    "task.only.title": "Your task",
    "task.only": "Now it begins. We do not tell you whether you are right.",
    "task.resume.title": "Welcome back",
    "task.resume": "You can go on right where you were.",
    "task.start": "Start",
    "task.resume.start": "Go on",
    "task.progress": "{done} of {total}",
    "task.confidence": "How sure are you?",
    "task.confidence.low": "not sure",
    "task.confidence.high": "very sure",
    "task.checking": "One moment …",
    "task.right_answer": "Right: the network favored the one you chose.",
    "task.wrong_answer": "Not this time: the network favored the other one.",
    "task.favored": "The network favored this one",
    "task.not_favored": "Your choice",
    "task.continue": "Continue",
    "task.saving": "Your answers are being saved.",
    "task.offline": "There is no connection at the moment. Your answers are safe on this "
    "computer, and are sent as soon as it is back. Please leave this window open, and go on.",
    # Questions at the end
    "questions.title": "Almost done",
    "questions.lead": "You may skip any of these questions.",
    "questions.age": "How old are you, in years?",
    "questions.gender": "What is your gender?",
    "questions.comments": "Is there anything you would like to tell us?",
    "questions.comments.hint": "For example: what did you look at, and did anything not work?",
    "questions.problem.age_years": "Please give your age as a number between 16 and 120, or leave "
    "it empty.",
    "questions.problem.gender": "Please use at most 100 characters here.",
    "questions.problem.comments": "Please use at most 5000 characters here.",
    "questions.problem": "Please look at your answers again.",
    "questions.continue": "Continue",
    # Debrief
    "debrief.title": "What this study is about",
    "debrief.lead": "Thank you. Your answers are saved.",
    "debrief.why": "Networks that recognize things in photographs are widely used, but it is hard "
    "to tell what they look at. There are ways to make pictures of what a network looks for. We "
    "want to know whether such pictures help people to understand a network.",
    "debrief.how": "That is why people in this study see different pictures on the left, and some "
    "see none. If the pictures help, those who see them are right more often. Nobody is right "
    "each time, and your own score says nothing about you.",
    "debrief.continue": "Finish",
    # The last page
    "end.completed.title": "Thank you!",
    "end.completed": "You have completed the study.",
    "end.declined_consent.title": "You are not taking part",
    "end.declined_consent": "That is fine. Nothing about you was recorded for the study.",
    "end.unsuitable_device.title": "It does not work on this device",
    "end.unsuitable_device": "We are sorry. You are welcome to open the study again on a computer "
    "with a larger screen.",
    "end.failed_quiz.title": "The study ends here",
    "end.failed_quiz": "Thank you for your time. Some answers about the instructions were not "
    "right, so we cannot go on. This is no judgement of you, and will not be held against you.",
    "end.failed_practice.title": "The study ends here",
    "end.failed_practice": "Thank you for your time. The practice did not go as well as the main "
    "part needs. The task is hard; this will not be held against you.",
    "end.withdrew.title": "You have left the study",
    "end.withdrew": "Thank you for the time you gave.",
    "end.timed_out.title": "The time is over",
    "end.timed_out": "This submission ran out of time at Prolific, so the study has ended here.",
    "end.returned.title": "The submission was returned",
    "end.returned": "This submission was returned at Prolific, so the study has ended here.",
    "end.other.title": "The study ends here",
    "end.other": "Thank you for your time.",
    "end.code": "Your completion code",
    "end.copy": "Copy the code",
    "end.copied": "Copied.",
    "end.copy_failed": "Please select the code and copy it yourself.",
    "end.return": "Return to Prolific",
    "end.redirect": "We take you back to Prolific in {seconds} seconds.",
    "end.stay": "Stay on this page",
    "end.stayed": "You stay on this page.",
    "end.no_code.completed": "You can close this window now.",
    "end.no_code": "There is no completion code for this. If you came from Prolific, please "
    "return your submission there. You can close this window now.",
    # Leaving
    "withdraw.title": "Leave the study?",
    "withdraw.lead": "You can stop now, without giving a reason. What should become of the answers "
    "you have given so far?",
    "withdraw.stay": "No, go on with the study",
    "withdraw.keep": "Leave, my answers may be used",
    "withdraw.delete": "Leave, and delete my answers",
    "withdraw.note": "Deleted answers cannot be brought back.",
    # Arrivals that are refused
    "arrival.missing": "This study is entered from Prolific, and the link you followed lacks what "
    "Prolific adds to it. Please open the study from its page on Prolific.",
    "arrival.malformed": "Something in the link you followed is not as Prolific writes it. Please "
    "go back to Prolific and open the study from there again.",
    "arrival.placeholder": "This link was not opened from Prolific: it still has the placeholders "
    "that Prolific fills in. Please open the study from its page on Prolific.",
    "arrival.other_study": "This link belongs to another study on Prolific. Please go back to "
    "Prolific and open the study from there again.",
    "arrival.unsigned": "This study can be entered only from its page on Prolific. Please go back "
    "there and open the study again.",
    "arrival.expired": "The link you followed was valid for a few minutes only. Please go back to "
    "Prolific and open the study from there again.",
    "arrival.forged": "The link you followed could not be verified. Please go back to Prolific and "
    "open the study from there again.",
    "arrival.keys_unavailable": "We cannot verify your link at the moment, since Prolific does not "
    "answer us. Nothing is lost: please wait a minute and open the study from Prolific again.",
    "arrival.none": "This page was opened without a link from Prolific.",
    "arrival.before": "You have taken part in this study before. Each person can do so once.",
    "arrival.earlier_study": "You have taken part in an earlier study of this series, and so "
    "cannot take part in this one.",
    "arrival.full": "The study has no free place at the moment. Please return your submission on "
    "Prolific. Thank you for your interest.",
    "arrival.unknown": "We cannot tell who you are. Please open the study again from Prolific.",
    # Errors
    "error.start": "Go to the study",
    "error.title": "That did not work",
    "error.title.400": "This link does not work",
    "error.title.401": "Please open the study again",
    "error.title.403": "You cannot take part",
    "error.title.404": "There is no such page",
    "error.title.413": "That was too much at once",
    "error.title.429": "Too many requests",
    "error.title.503": "Please wait a moment",
    "error.message.404": "The address is wrong, or the page has gone.",
    "error.message.405": "The page cannot be opened in this way.",
    "error.message.413": "More was sent than this study ever needs.",
    "error.message.429": "More was asked of the server than it answers at once.",
    "error.message.500": "The server made a mistake. It has been noted, and nothing is lost.",
    "error.message.503": "The server could not save that just now.",
    "error.message.csrf": "This page was open too long, or cookies are switched off. Please load "
    "it again, and allow cookies for this site.",
    "error.action": "Please go back to Prolific and open the study from there.",
    "error.action.401": "Open the study from Prolific: you will go on where you were.",
    "error.action.403": "You can close this page.",
    "error.action.429": "Please wait a minute and load the page again. Nothing is lost.",
    "error.action.503": "Please load the page again in a few seconds. Nothing is lost.",
}


def _quiz_text(questions: tuple[Question, ...]) -> dict[str, str]:
    sentences = {}
    for question in questions:
        sentences[f"quiz.{question.key}.question"] = question.text
        for option, text in question.options:
            sentences[f"quiz.{question.key}.{option}"] = text
    return sentences


TEXT.update(_quiz_text(QUIZ))


def participant_text(study: Study) -> dict[str, str]:
    """Key -> sentence: the defaults, where the study does not say otherwise."""
    return {**TEXT, **study.participant_text}


def unknown_keys(study: Study) -> list[str]:
    """Keys of the study's `participant_text` that no page uses."""
    return sorted(set(study.participant_text) - set(TEXT))
