"""Which SAM 2.1 there are: the `sam2` package's configuration of each, and the published weights' sha256."""

from __future__ import annotations

from dataclasses import dataclass

STRIDE = 16
"""Pixels of the input a cell of the coarsest feature map is wide; masks come at a quarter of it."""

ADDRESS = "https://dl.fbaipublicfiles.com/segment_anything_2/092824"
"""Where Meta publishes the checkpoints."""


@dataclass(frozen=True, slots=True)
class Variant:
    """config: a file of the `sam2` package. overrides: Hydra's, on top of it.

    file, sha256: of Meta's checkpoint at ADDRESS; None where there is none.
    """

    config: str
    overrides: tuple[str, ...] = ()
    file: str = ""
    sha256: str | None = None


VARIANTS = {
    "tiny": Variant(
        "configs/sam2.1/sam2.1_hiera_t.yaml",
        file="sam2.1_hiera_tiny.pt",
        sha256="7402e0d864fa82708a20fbd15bc84245c2f26dff0eb43a4b5b93452deb34be69",
    ),
    "small": Variant(
        "configs/sam2.1/sam2.1_hiera_s.yaml",
        file="sam2.1_hiera_small.pt",
        sha256="6d1aa6f30de5c92224f8172114de081d104bbd23dd9dc5c58996f0cad5dc4d38",
    ),
    "base+": Variant(
        "configs/sam2.1/sam2.1_hiera_b+.yaml",
        file="sam2.1_hiera_base_plus.pt",
        sha256="a2345aede8715ab1d5d31b4a509fb160c5a4af1970f199d9054ccfb746c004c5",
    ),
    "large": Variant(
        "configs/sam2.1/sam2.1_hiera_l.yaml",
        file="sam2.1_hiera_large.pt",
        sha256="2647878d5dfa5098f2f8649825738a9345572bae2d4350a2468587ece47dd318",
    ),
    "mini": Variant(
        "configs/sam2.1/sam2.1_hiera_t.yaml",
        overrides=(
            "++model.image_encoder.trunk.embed_dim=16",
            "++model.image_encoder.trunk.stages=[1,1,2,1]",
            "++model.image_encoder.trunk.global_att_blocks=[3]",
            "++model.image_encoder.neck.backbone_channel_list=[128,64,32,16]",
            "++model.memory_attention.num_layers=1",
        ),
    ),
}
"""`mini` goes through the same code in a twentieth of the time; it has no published weights and is for tests."""


def variant(name: str) -> Variant:
    """The variant of this name. Raises ValueError with the names there are."""
    if name not in VARIANTS:
        raise ValueError(f"no SAM 2.1 variant {name!r}; there are {', '.join(VARIANTS)}")
    return VARIANTS[name]
