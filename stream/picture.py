"""What an image-text network says of who answers a query: evidence for what nothing here measures (girl, hat, zebu).

Twice a second at most each candidate's mask is cut out and embedded, and the mean of its embeddings kept. A fit is a
contrast of candidates (as ReCLIP scores proposals by softmax, Subramanian et al., arXiv 2204.05991), made so that it
needs neither two of them nor a bias that was trained on whole photographs:

    advantage of i:  d_i = scale (cos(image_i, text) - cos(image_i, category)) / T
    fit of i:        sigmoid(d_i - log mean_j exp(d_j)),  j over the others and "none of them", whose advantage is 0

The category's own text is what the expression must beat: a picture that is hard to read fits both badly, and a bias
(SigLIP's) falls out. The second line is softmax with its prior of one in n taken out: who fits no better than the rest
has 0.5, however many there are, and two who both fit (a plural) do not take from each other. Who is alone is
compared with "none" only. `T` tempers (Guo et al., arXiv 1706.04599): no network was trained on cut-outs on grey.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from engines.crops import U8
from engines.imagetext import ImageTextNet
from stream.entity import Entity, Picture
from stream.evidence import Present, pictured
from stream.refer import UNMEASURED, Query, ReferState, opine

EVERY_US = 500_000
"""Feed time between two pictures of one entity."""
A_LOOK = 2
"""Pictures taken at one look at most: who has waited longest comes first."""
MEMORY = 10
"""Pictures that the running mean goes over."""
TEMPER = 2.0
LEAST, MOST = 0.25, 0.85
"""An opinion alone neither rules out whom all else that is said confirms, nor is it ever certain."""
NAME = "imagetext"
_PROMPT = "this is a photo of {}"
"""As SigLIP's own classifier says it; CLIP's differs by two words."""


def step(net: ImageTextNet, state: ReferState, live: Sequence[Entity], rgb: U8, pts_us: int) -> None:
    """Take pictures of who may answer a query that asks for them, and give the queries their opinions. live: who is in
    sight, with a mask, in a frame [H, W, 3]."""
    present = {e.id: (e.category, e.traits) for e in live}
    asking = [(q, who) for q in state.queries if (who := _candidates(q, present))]
    wanted = {i for _, who in asking for i in who}
    due = [e for e in live if e.id in wanted and _since(e, net.key) + EVERY_US <= pts_us]
    for e in sorted(due, key=lambda e: (_since(e, net.key), e.id))[:A_LOOK]:
        _take(net, e, rgb, pts_us)
    for q, who in asking:
        _judge(net, q, {i: present[i] for i in who})


def contrast(advantages: Sequence[float]) -> list[float]:
    """The fits in [LEAST, MOST] of candidates by how much better, in tempered logits, the text fits each than its
    category does."""
    found = []
    for i, own in enumerate(advantages):
        others = np.array([0.0, *advantages[:i], *advantages[i + 1 :]])
        rest = float(np.logaddexp.reduce(others)) - np.log(len(others))
        found.append(float(np.clip(1 / (1 + np.exp(rest - own)), LEAST, MOST)))
    return found


def _candidates(q: Query, present: Present) -> list[int]:
    """Who in sight may answer a query that says what only a picture shows; nobody for another query."""
    return [i for i in present if i in q.evidence and pictured(q.expression, [f != UNMEASURED for f in q.fits[i]])]


def _since(e: Entity, key: str) -> int:
    """When its last picture was taken by this network."""
    p = e.traits.picture
    return p.at_us if p is not None and p.by == key else -EVERY_US


def _take(net: ImageTextNet, e: Entity, rgb: U8, pts_us: int) -> None:
    if e.patch is None:
        return
    old = e.traits.picture if e.traits.picture is not None and e.traits.picture.by == net.key else None
    if old is not None and e.patch.area < 0.5 * e.reference_area:
        return  # mostly hidden: what is known of it is better
    inside = e.patch.within((0, 0, rgb.shape[1], rgb.shape[0]))
    seen = net.image(rgb, inside.mask, inside.x0, inside.y0)
    if seen is None:
        return
    n = old.count + 1 if old is not None else 1
    mean = seen if old is None else old.mean + np.float32(1 / min(n, MEMORY)) * (seen - old.mean)
    e.traits.picture = Picture(net.key, mean.astype(np.float32), n, pts_us)


def _judge(net: ImageTextNet, q: Query, candidates: Present) -> None:
    asked = q.expression.category
    seen: Mapping[int, Picture] = {
        i: t.picture for i, (_, t) in candidates.items() if t.picture is not None and t.picture.by == net.key
    }
    text, advantages = net.text(_PROMPT.format(q.text)), []
    for i, picture in seen.items():
        plain = net.text(_PROMPT.format(f"a {candidates[i][0] if asked == 'object' else asked}"))
        unit = picture.mean / max(1e-6, float(np.linalg.norm(picture.mean)))
        advantages.append(net.scale * float(unit @ text - unit @ plain) / TEMPER)
    if seen:
        opine(q, NAME, dict(zip(seen, contrast(advantages), strict=True)))
