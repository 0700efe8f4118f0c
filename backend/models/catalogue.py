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
    publisher lets anyone download without asking; megabytes: about, None when not known; sha256: the checksum or its
    first digits as the publisher's own file name carries them, "" when not published; note: what to know besides.
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

MODELS: dict[str, PublishedModel] = {
    "hmr2": PublishedModel(
        title="HMR2.0 (4D-Humans), version b; or a fine-tune of it such as HardMo's",
        file="epoch=35-step=1000000.ckpt",
        source="https://github.com/shubham-goel/4D-Humans",
        licence=f"code MIT; the file holds SMPL data: {_RESEARCH}",
        commercial=False,
        kind="hmr2",
        megabytes=2690,
        note="in hmr2_data.tar.gz, which the publisher's demo fetches",
    ),
    "hmr2a": PublishedModel(
        title="HMR2.0 (4D-Humans), version a: what GVHMR sees the picture with",
        file="epoch=10-step=25000.ckpt",
        source="https://github.com/zju3dv/GVHMR/blob/main/docs/INSTALL.md",
        licence=f"code MIT; the file holds SMPL data: {_RESEARCH}",
        commercial=False,
        kind="hmr2",
        megabytes=2690,
    ),
    "gvhmr": PublishedModel(
        title="GVHMR, 17 keypoints",
        file="gvhmr_siga24_release.ckpt",
        source="https://github.com/zju3dv/GVHMR/blob/main/docs/INSTALL.md",
        licence=f"GVHMR licence: {_RESEARCH}, changes to be published",
        commercial=False,
        kind="gvhmr",
        megabytes=165,
    ),
    "footmr": PublishedModel(
        title="FootMR, and the GVHMR for 23 keypoints that belongs to it",
        file="footmr_checkpoint.ckpt",
        source="https://cloud.tnt.uni-hannover.de/index.php/s/tpLX3F6Mz4FqHaD",
        licence=f"FootMR licence: {_RESEARCH}, changes to be published",
        commercial=False,
        kind="footmr",
        megabytes=180,
    ),
    "vitpose": PublishedModel(
        title="ViTPose-H whole-body",
        file="vitpose-h-wholebody.pth",
        source="https://github.com/ViTAE-Transformer/ViTPose",
        licence="Apache-2.0",
        commercial=True,
        kind="vitpose",
        megabytes=2550,
        note="vitpose-h-multi-coco.pth (17 keypoints, no feet) will do, too",
    ),
    "camcalib": PublishedModel(
        title="CamCalib of SPEC: gravity and focal length from one picture",
        file="camcalib_sa_biased_l2.ckpt",
        source="https://github.com/mkocabas/SPEC",
        licence=f"MPI: {_RESEARCH}",
        commercial=False,
        kind="camcalib",
        megabytes=100,
    ),
    "whmr": PublishedModel(
        title="W-HMR, pure parameters, ViTPose-B: its OrientCorrect turns another engine's body upright",
        file="w-hmr-p-vitpose_checkpoint.pt",
        source="https://github.com/yw0208/W-HMR",
        licence=f"code MIT, on MPI's SPEC and PARE: {_RESEARCH}",
        commercial=False,
        kind="whmr",
        note="holds CamCalib, too",
    ),
    "whmr-markers": PublishedModel(
        title="W-HMR's 67 markers: which points of SMPL it looks at",
        file="smpl_ssm.npy",
        source="https://github.com/yw0208/W-HMR",
        licence=f"of W-HMR's data folder: {_RESEARCH}",
        commercial=False,
        kind="markers",
        megabytes=1,
    ),
    "rtmpose": PublishedModel(
        title="RTMPose-m whole-body",
        file="rtmpose-m_simcc-coco-wholebody_pt-aic-coco_270e-256x192-cd5e845c_20230123.pth",
        source="https://github.com/open-mmlab/mmpose/tree/main/projects/rtmpose",
        licence="Apache-2.0",
        commercial=True,
        kind="rtmpose",
        url=_OPENMMLAB + "rtmpose-m_simcc-coco-wholebody_pt-aic-coco_270e-256x192-cd5e845c_20230123.pth",
        sha256="cd5e845c",
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
    ),
    "smplx": PublishedModel(
        title="SMPL-X, neutral: shape-true joints, and the mesh",
        file="SMPLX_NEUTRAL.npz",
        source="https://smpl-x.is.tue.mpg.de",
        licence=f"SMPL-X licence: {_RESEARCH}",
        commercial=False,
        kind="smplx",
        megabytes=170,
        note="asks for registration",
    ),
}
