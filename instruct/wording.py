"""The closed list of words that a rewritten pair may use beside its own names, times and actions: phrases and the part
of a fact each stands for. Whatever is not here says something more, and the rewrite is refused.
"""

from __future__ import annotations

import re

from instruct.say import bare, going, plural

COUNTED = "no one two three four five six seven eight nine ten eleven twelve".split()
SILENT = ""
"""The part of phrases that say nothing."""
PREDICATES = frozenset("SIGHT OUT BACK APPEAR NEXT THAT DOING".split())
"""Parts that are said of somebody, beside actions (A:), places (P:) and comparisons."""

_SAME = {
    SILENT: "the|a|an|is|are|was|were|be|been|being|there|in the video|in this video|in the clip",
    "HAVE": "has|have|had",
    "LOCATED": "located|found",
    "SEE": "can you see|do you see|can we see",
    "SIGHT": "in sight|visible|in view|on screen|on the screen|seen|can be seen|appear on screen|appears on screen"
    "|appear in the picture|appears in the picture|appear in view|appears in view|shown",
    "STAY": "stay in sight|stays in sight|stay in view|stays in view|stay visible|stays visible|remain in sight"
    "|remains in sight|remain in view|remains in view|remain visible|remains visible",
    "INPIC": "in the picture|in the frame|in the image|within the frame|within the picture",
    "OUT": "out of sight|go out of sight|goes out of sight|going out of sight|gone|disappear|disappears"
    "|out of view|go out of view|goes out of view|vanish|vanishes|leave the picture|leaves the picture"
    "|leave the frame|leaves the frame",
    "BACK": "come back|comes back|coming back|came back|return|returns|reappear|reappears|appear again"
    "|appears again|come back into view|comes back into view|come back into sight|comes back into sight"
    "|return to view|returns to view|back in sight|back in view",
    "APPEAR": "appear|appears|appeared|appearing|come into sight|comes into sight|come into view|comes into view"
    "|show up|shows up|first appear|first appears",
    "NEXT": "next|comes next|come next|appears next|appear next|next to appear|the next to appear|is next",
    "THAT": "does that|do that|doing that|is doing that|does so",
    "DOING": "doing|behave|up to|performing|engaged in",
    "STRETCH": "in one stretch|in a single stretch|without interruption|without a break|without a gap|continuously",
    "WHAT": "what|what action|describe what|tell what|how does|how do|say what|explain what|tell me what",
    "WHICHWAY": "which way|in which direction|in what direction|what direction|which direction",
    "GO": "move|moving|head|heading",
    "DESCRIBE": "describe",
    "HAPPENS": "happens|what happens to|what happens with|tell what happens|tell what happens to"
    "|describe what happens|describe what happens to|explain what happens to|say what happens to"
    "|describe what happens with|what goes on with",
    "FOLLOW": "follow|track",
    "WITHTIMES": "with times|including times|giving times|with the times|and give times|give times|give the times",
    "WHEN": "when|at what time|at what times|at which time|at which times|during which time|during which times"
    "|during what times|during which part of the video|in which part of the video|in what part of the video"
    "|during what part of the video|during which part of the clip|in which part of the clip",
    "HOWLONG": "how long|for how long|how much time|for how much time",
    "ALL": "in all|in total|altogether|overall|all in all",
    "WHERE": "where|where in the picture|in which part of the picture|in what part of the picture"
    "|where in the frame|in which part of the frame|in what part of the frame|whereabouts in the picture"
    "|whereabouts in the frame",
    "HOWMANY": "how many|count|what number of|tell how many",
    "WHICH": "which|which one|which of these|which of the two|which of them",
    "WHO": "who or what|what or who|who|who or what would you call|give a referring expression for"
    "|what would you call|provide a referring expression for|write a referring expression for|how would you call"
    "|how would you refer to|what is the name for",
    "WHILE": "while|as",
    "LARGERTHAN": "larger than|larger in the picture than|bigger than|bigger in the picture than"
    "|larger in the frame than",
    "SMALLERTHAN": "smaller than|smaller in the picture than|smaller in the frame than",
    "LARGER": "larger|larger in the picture|bigger|bigger in the picture|the larger one|larger in the frame"
    "|the larger|the bigger one|the bigger",
    "LEFTTHAN": "further to the left than|farther to the left than|further left than|farther left than"
    "|more to the left than",
    "RIGHTTHAN": "further to the right than|farther to the right than|further right than|farther right than"
    "|more to the right than",
    "LEFT": "further to the left|farther to the left|further left|farther left|more to the left"
    "|further to the left in the picture",
    "BEFORE": "before|earlier than|sooner than",
    "AFTER": "after",
    "TOGETHER": "together|both|at the same time|simultaneously",
    "THEY": "they|both of them",
    "ANYTIME": "at any time|at any point|at any moment",
    "FIRST": "the first|the first one",
    "SECOND": "the second|the second one",
    "OTHER": "the other|the other one",
    "EXACTLY": "exactly|precisely",
    "NOT": "not|can not",
    "NONE": "none",
    "AND": "and",
    "OR": "or",
    "THEN": "then|and then",
    "LOOK": "look|looks|appear to be|look to be",
    "AUX": "do|does|did",
    "CAN": "can",
    "THROUGH": "through the video|throughout the video|in the course of the video|over the course of the video"
    "|during the video|throughout the clip|through the clip|over the course of the clip|in the course of the clip",
    "HERE": "here it is|here is the mask|this is it|here is its mask",
    "IT": "it|this is|that is|i would call it|you could call it",
    "FIND": "find|locate|point out|show where|pick out",
    "MASK": "segment|show it|show the mask|and show the mask|show me the mask|show its mask|and show its mask"
    "|and segment it|segment it|show the mask of|give the mask of|mark it|outline|draw the mask of|and show it"
    "|and outline it|provide the mask of",
    "SCENES": "scenes|scene",
    "SCENESQ": "into which scenes does the video fall|where are the scene boundaries of the video"
    "|what are the scene boundaries of the video|where are the scene boundaries"
    "|where are the scene boundaries in the video|into which scenes is the video divided"
    "|what scenes does the video fall into|which scenes does the video fall into|where do the scenes begin and end"
    "|list the scenes|into what scenes does the video fall|at what times do the scenes begin and end"
    "|which scenes does the video have|which scenes does the video consist of|what scenes does the video have",
    "VIDEOHAS": "does the video have|are there in the video|does the video consist of|the video has"
    "|in the video are there|does the clip have|make up the video|does this video have",
    "SUMMARYQ": "who and what can be seen in the video, and when|summarise who is in the video, with times"
    "|give a summary of the video: who is in sight, and from when to when"
    "|who and what is visible in the video, and when|who is in sight in the video, and from when to when"
    "|summarise who is in sight in the video, with times|summarize who is in the video, with times"
    "|who and what is in sight in the video, and when|who and what appears in the video, and when"
    "|give a summary of who is in the video, with times"
    "|summarise the video: who is in sight, and from when to when",
    "TIMELINEQ": "list what happens in the video, in order and with times|what happens in the video? give times"
    "|list what happens in the video, with times and in order"
    "|tell what happens in the video, in order and with times|what happens in the video, in order and with times"
    "|describe what happens in the video, in order and with times"
    "|go through what happens in the video, in order and with times",
    "CAPTIONQ": "what can be seen|caption the video|what is in sight|who and what can be seen|caption the clip"
    "|write a caption for the video|what is visible|give a caption for the video",
    "P:left": "on the left|on the left of the picture|on the left side of the picture"
    "|in the left third of the picture|in the left third|on the left side|in the left part of the picture"
    "|on the left of the frame|on the left side of the frame|at the left of the picture"
    "|in the left part of the frame",
    "P:middle": "in the middle|in the middle of the picture|in the middle third of the picture|in the middle third"
    "|in the middle of the frame|in the middle part of the picture|in the middle of the image",
    "P:right": "on the right|on the right of the picture|on the right side of the picture"
    "|in the right third of the picture|in the right third|on the right side|in the right part of the picture"
    "|on the right of the frame|on the right side of the frame|at the right of the picture"
    "|in the right part of the frame",
}  # fmt: skip
PHRASES = {phrase: part for part, row in _SAME.items() for phrase in row.split("|")}
PHRASES |= {said: f"#:{n}" for n, word in enumerate(COUNTED) for said in (word, str(n))}
POLITE = (
    "please tell me|can you tell me|could you tell me|tell me|please say|can you say|could you say|say|please"
    "|i would like to know|looking at the video|watching the video|in this video|in this clip|for this video"
).split("|")
"""What a question may begin with; `if` or `whether` may follow."""
SORRY = ("sorry", "unfortunately", "i am sorry, but", "i am sorry")
"""What an answer to an open question may begin with."""
_SHORT = {
    "can't": "can not", "cannot": "can not", "won't": "will not", "n't": " not", "what's": "what is", "who's": "who is",
    "where's": "where is", "when's": "when is", "it's": "it is", "there's": "there is", "that's": "that is",
    "they're": "they are", "i'd like": "i would like", "i'm": "i am",
}  # fmt: skip


def plain(text: str) -> str:
    """A text in lower case, short forms written out, blanks single."""
    text = text.lower().replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")
    for short, full in _SHORT.items():
        text = text.replace(short, full)
    return re.sub(r"[ \t]+", " ", text).strip()


def action_forms(text: str) -> tuple[str, ...]:
    """How an action may be written: `moves up`, `move up`, `moving up`, `moved up`."""
    verb, _, rest = bare(text).partition(" ")
    past = f"{verb}{'d' if verb.endswith('e') else 'ed'} {rest}".strip()
    return text, bare(text), going(text), past


def category_forms(category: str, *, counted: bool) -> tuple[str, ...]:
    """The noun of a category; where it is counted, also that of several."""
    return (category, plural(category)) if counted else (category,)
