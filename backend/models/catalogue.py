"""What published models there are: the one place that says where each comes from and under which licence.

`doctor`, the command line, the add-on and the README tell what stands here. None of these files ships.
"""

from __future__ import annotations

from dataclasses import dataclass

_RESEARCH = "non-commercial research only"


@dataclass(frozen=True)
class PublishedModel:
    """One file that some engines need.

    title: for a person; file: what the publisher calls it; source: the page it comes from; licence; commercial: whether
    that allows commercial use; kind: how it is recognised (`recognise.check`); url: a direct address, only where the
    publisher lets anyone download without asking; megabytes: None when not known; sha256: of the file that everyone
    has, "" when not known. Publishers tell no checksums (the one in RTMPose's name is not that of the file on the
    server): these are what several independent users of the official file found. note: what to know besides.
    """

    title: str
    file: str
    source: str
    licence: str
    commercial: bool
    kind: str
    url: str = ""
    megabytes: int | None = None
    sha256: str = ""
    note: str = ""


_OPENMMLAB = "https://download.openmmlab.com/mmpose/v1/projects/rtmposev1/"
_DATA = "trained on COCO-WholeBody, whose own annotations are for non-commercial use"

MODELS: dict[str, PublishedModel] = {
    "hmr2": PublishedModel(
        title="HMR2.0 (4D-Humans), version b; or a fine-tune of it such as HardMo's",
        file="epoch=35-step=1000000.ckpt",
        source="https://github.com/shubham-goel/4D-Humans",
        licence=f"code MIT; the file holds SMPL data: {_RESEARCH}",
        commercial=False,
        kind="hmr2",
        note="the checkpoint in hmr2_data.tar.gz (about 2500 MB), which the publisher's demo fetches",
    ),
    "hmr2a": PublishedModel(
        title="HMR2.0 (4D-Humans), version a: what GVHMR sees the picture with",
        file="epoch=10-step=25000.ckpt",
        source="https://github.com/zju3dv/GVHMR/blob/main/docs/INSTALL.md",
        licence=f"code MIT; the file holds SMPL data: {_RESEARCH}",
        commercial=False,
        kind="hmr2",
        megabytes=2709,
        sha256="2dcf79638109781d1ae5f5c44fee5f55bc83291c210653feead9b7f04fa6f20e",
        note="4D-Humans' page has it as hmr2a_model.tar.gz",
    ),
    "gvhmr": PublishedModel(
        title="GVHMR, 17 keypoints",
        file="gvhmr_siga24_release.ckpt",
        source="https://github.com/zju3dv/GVHMR/blob/main/docs/INSTALL.md",
        licence=f"GVHMR licence: {_RESEARCH}, changes to be published",
        commercial=False,
        kind="gvhmr",
        megabytes=164,
        sha256="4fae7da2de388d5da3514cb27a2d003f364dacb280e9cf88972b710e589c6b91",
    ),
    "footmr": PublishedModel(
        title="FootMR, and the GVHMR for 23 keypoints that belongs to it",
        file="footmr_checkpoint.ckpt",
        source="https://cloud.tnt.uni-hannover.de/index.php/s/tpLX3F6Mz4FqHaD",
        licence=f"FootMR licence: {_RESEARCH}, changes to be published",
        commercial=False,
        kind="footmr",
        note="in checkpoints/footmr of that folder",
    ),
    "vitpose": PublishedModel(
        title="ViTPose-H whole-body",
        file="vitpose-h-wholebody.pth",
        source="https://github.com/ViTAE-Transformer/ViTPose",
        licence="Apache-2.0",
        commercial=True,
        kind="vitpose",
        megabytes=2549,
        note=f"also in FootMR's folder; vitpose-h-multi-coco.pth (17 keypoints, no feet) will do, too; {_DATA}",
    ),
    "camcalib": PublishedModel(
        title="CamCalib of SPEC: gravity and focal length from one picture",
        file="camcalib_sa_biased_l2.ckpt",
        source="https://github.com/mkocabas/SPEC",
        licence=f"MPI: {_RESEARCH}",
        commercial=False,
        kind="camcalib",
        sha256="e4480cdd546ff8322978ef76e93c7a70a7d5e82c1390cbdd7a95473ac4595b48",
        note="in spec-github-data.zip (about 1000 MB), which scripts/prepare_data.sh fetches",
    ),
    "whmr": PublishedModel(
        title="W-HMR, pure parameters, ViTPose-B: its OrientCorrect turns another engine's body upright",
        file="w-hmr-p-vitpose_checkpoint.pt",
        source="https://github.com/yw0208/W-HMR",
        licence=f"code MIT, on MPI's SPEC and PARE: {_RESEARCH}",
        commercial=False,
        kind="whmr",
        note="in the demo's zip of about 700 MB; holds CamCalib, too",
    ),
    "whmr-markers": PublishedModel(
        title="W-HMR's 67 markers: which points of SMPL it looks at",
        file="smpl_ssm.npy",
        source="https://github.com/yw0208/W-HMR",
        licence=f"of W-HMR's data folder: {_RESEARCH}",
        commercial=False,
        kind="markers",
        note="in data/smpl of the same zip",
    ),
    "rtmpose": PublishedModel(
        title="RTMPose-m whole-body",
        file="rtmpose-m_simcc-coco-wholebody_pt-aic-coco_270e-256x192-cd5e845c_20230123.pth",
        source="https://github.com/open-mmlab/mmpose/tree/main/projects/rtmpose",
        licence="Apache-2.0",
        commercial=True,
        kind="rtmpose",
        url=_OPENMMLAB + "rtmpose-m_simcc-coco-wholebody_pt-aic-coco_270e-256x192-cd5e845c_20230123.pth",
        sha256="3da02694cd6479d3b333ff42ebd0723f96bfa06adac1db1e2e815ed2e9e1b02d",
        megabytes=72,
        note=f"RTMPose-l of the same page will do, too; {_DATA}",
    ),
    "yolo": PublishedModel(
        title="YOLO of Ultralytics: any detector .pt of v8, 11 or 26",
        file="yolo11x.pt",
        source="https://docs.ultralytics.com/models/",
        licence="AGPL-3.0, or Ultralytics' enterprise licence",
        commercial=False,
        kind="yolo",
        url="https://github.com/ultralytics/assets/releases/download/v8.3.0/yolo11x.pt",
        note="commercial use under AGPL-3.0 means publishing all that you distribute with it",
        megabytes=115,
        sha256="7bc158aa95c0ebfdd87f70f01653c1131b93e92522dbe15c228bcd742e773a24",
    ),
    "smplx": PublishedModel(
        title="SMPL-X, neutral: shape-true joints, and the mesh",
        file="SMPLX_NEUTRAL.npz",
        source="https://smpl-x.is.tue.mpg.de",
        licence=f"SMPL-X licence: {_RESEARCH}",
        commercial=False,
        kind="smplx",
        megabytes=109,
        note="asks for registration; in models_smplx_v1_1.zip",
        sha256="376021446ddc86e99acacd795182bbef903e61d33b76b9d8b359c2b0865bd992",
    ),
}
