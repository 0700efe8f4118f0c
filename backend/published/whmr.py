"""W-HMR (2023): its world orientation for another engine's body. Names are those of the checkpoint.

A ViT and three deconvolutions give ever finer features; three regressors look at them, the first at a grid, the others
where 67 points of the body's surface are seen, and correct pose, shape and camera. OrientCorrect (in `motion.orient`)
turns the last features, the guessed camera and the orientation in camera space into one in an upright world.
The regressors have no non-linearity, neither has OrientCorrect: each is one affine map.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from ..motion.orient import OrientCorrect, orthonormal
from .vit import BASE, ViT, ViTSize

MARKERS = 67
GRID = 7, 9  # points of the first look, across and down
FOCAL, HALF = 1000.0, 128.0  # pixels of the crop; both axes are divided by half its height: as trained
POINT = 32  # numbers that are kept of a point's features
CHANNELS = 256
LOOKS = 3
NEAREST_DEPTH = 10.0  # metres; what the distance is a part of


class Surface(nn.Module):
    """The part of SMPL that carries the markers. It goes where the network goes; a checkpoint has it elsewhere."""

    template: Tensor
    shape: Tensor
    pose: Tensor
    weights: Tensor
    joints: Tensor
    joint_shape: Tensor

    def __init__(self, parents: Sequence[int], **parts: Tensor) -> None:
        """parts: template (67, 3) metres, shape (67, 3, 10), pose (207, 201), weights (67, 24), and of the whole body
        joints (24, 3) and joint_shape (24, 3, 10)."""
        super().__init__()
        self.parents = tuple(parents)
        for name, part in parts.items():
            self.register_buffer(name, part.float(), persistent=False)

    @classmethod
    def of(cls, smpl: dict[str, Tensor], markers: Tensor) -> Surface:
        """From SMPL's buffers as the checkpoint holds them, and the markers' vertex numbers (67,)."""
        shapes = smpl["shapedirs"][..., :10]
        return cls(
            smpl["parents"].tolist(),
            template=smpl["v_template"][markers],
            shape=shapes[markers],
            pose=smpl["posedirs"].unflatten(-1, (-1, 3))[:, markers].flatten(1),
            weights=smpl["lbs_weights"][markers],
            joints=smpl["J_regressor"] @ smpl["v_template"],
            joint_shape=torch.einsum("jv,vkl->jkl", smpl["J_regressor"], shapes),
        )

    def posed(self, rotations: Tensor, betas: Tensor) -> Tensor:
        """Where the markers are (B, 67, 3) metres: linear blend skinning of rotations (B, 24, 3, 3), betas (B, 10)."""
        rest = self.template + torch.einsum("vkl,bl->bvk", self.shape, betas)
        bend = (rotations[:, 1:] - torch.eye(3).to(rotations)).flatten(1) @ self.pose
        rest = rest + bend.unflatten(1, (-1, 3))
        joints = self.joints + torch.einsum("jkl,bl->bjk", self.joint_shape, betas)
        turned, places = [rotations[:, 0]], [joints[:, 0]]
        for j in range(1, rotations.shape[1]):
            p = self.parents[j]
            places.append(places[p] + (turned[p] @ (joints[:, j] - joints[:, p])[..., None])[..., 0])
            turned.append(turned[p] @ rotations[:, j])
        turn, place = torch.stack(turned, 1), torch.stack(places, 1)
        move = place - (turn @ joints[..., None])[..., 0]
        blended = torch.einsum("vj,bjkl->bvkl", self.weights, turn)
        return (blended @ rest[..., None])[..., 0] + torch.einsum("vj,bjk->bvk", self.weights, move)


class Body(NamedTuple):
    """rotations (B, 24, 3, 3), betas (B, 10), camera (B, 3): scale and shift over the crop."""

    rotations: Tensor
    betas: Tensor
    camera: Tensor


class Person(NamedTuple):
    """body; in_world (B, 3, 3): the root's orientation in an upright world, y down; focal (B,): pixels of the whole
    picture."""

    body: Body
    in_world: Tensor
    focal: Tensor


class WHMR(nn.Module):
    """Crop -> Person."""

    def __init__(self, surface: Surface, size: ViTSize = BASE, hidden: int = 2048) -> None:
        """hidden: width of OrientCorrect's inner layers."""
        super().__init__()
        self.surface = surface
        self.feature_extractor = nn.Module()
        self.feature_extractor.backbone = ViT(size)
        layers: list[nn.Module] = []
        for inputs in (size.width, CHANNELS, CHANNELS):
            deconvolution = nn.ConvTranspose2d(inputs, CHANNELS, 4, stride=2, padding=1, bias=False)
            layers += [deconvolution, nn.BatchNorm2d(CHANNELS), nn.ReLU()]
        self.deconv_layers = nn.Sequential(*layers)
        self.maf_extractor = nn.ModuleList(PointFeatures() for _ in range(LOOKS))
        points = (GRID[0] * GRID[1], *[MARKERS] * (LOOKS - 1))
        self.regressor = nn.ModuleList(Regressor(POINT * count) for count in points)
        self.conv = nn.Sequential(
            nn.Conv2d(CHANNELS, 64, 7, stride=3, bias=False), nn.Conv2d(64, 5, 7, stride=2, bias=False)
        )
        self.transformer_decoder = Block(18 * 12, heads=2)
        self.est_Tz = nn.Sequential(nn.Linear(18 * 12, 12), nn.Linear(12, 1), nn.BatchNorm1d(1))
        self.global_orient = OrientCorrect(POINT * MARKERS + 5, hidden)

    def forward(self, image: Tensor, place: Tensor, box_height: Tensor, camera: Tensor) -> Person:
        """image (B, 3, 256, 192) of `crops.whmr`; place (B, 5) of `place_in_picture`; box_height (B,) pixels;
        camera (B, 3, 3): guessed rotation, world to camera (`camcalib.world_to_camera`)."""
        coarse = self.feature_extractor.backbone(image)
        maps = []
        for look in range(LOOKS):
            coarse = self.deconv_layers[3 * look : 3 * look + 3](coarse)
            maps.append(coarse)
        depth = self._depth(maps[-1])
        body = self.regressor[0].mean(len(image))
        features = torch.empty(0)
        for look, regressor in enumerate(self.regressor):
            where = grid(len(image)).to(image)
            if look:
                where = project(self.surface.posed(body.rotations, body.betas), body.camera)
            features = torch.cat([self.maf_extractor[look](maps[look], where), place], 1)
            body = regressor(features, body)
        raw = self.global_orient(features, camera, body.rotations[:, 0])
        return Person(body, orthonormal(raw), body.camera[:, 0] * box_height * depth / 2)

    def _depth(self, fine: Tensor) -> Tensor:
        """(B,) metres to the person."""
        tokens = self.transformer_decoder(self.conv(fine).flatten(2))
        return NEAREST_DEPTH * self.est_Tz(tokens.mean(1)).sigmoid()[:, 0]


class PointFeatures(nn.Module):
    """What is seen at points of a feature map, 32 numbers each."""

    def __init__(self) -> None:
        super().__init__()
        self.conv0 = nn.Conv1d(CHANNELS, 128, 1)
        self.conv1 = nn.Conv1d(128 + CHANNELS, 64, 1)
        self.conv2 = nn.Conv1d(64 + CHANNELS, POINT, 1)

    def forward(self, features: Tensor, points: Tensor) -> Tensor:
        """features (B, 256, H, W); points (B, N, 2) in -1..1. -> (B, 32 N), all points of a number together"""
        seen = F.grid_sample(features, points[:, :, None], align_corners=True)[..., 0]
        y = F.leaky_relu(self.conv0(seen))
        y = F.leaky_relu(self.conv1(torch.cat([y, seen], 1)))
        return self.conv2(torch.cat([y, seen], 1)).relu().flatten(1)


class Regressor(nn.Module):
    """Corrects a body by what is seen of it."""

    init_pose: Tensor
    init_shape: Tensor
    init_cam: Tensor

    def __init__(self, features: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(features + 5 + 24 * 9 + 10 + 3, 1024)
        self.fc2 = nn.Linear(1024, 1024)
        self.decpose, self.decshape, self.deccam = nn.Linear(1024, 24 * 9), nn.Linear(1024, 10), nn.Linear(1024, 3)
        self.register_buffer("init_pose", torch.eye(3).flatten().repeat(24)[None])
        self.register_buffer("init_shape", torch.zeros(1, 10))
        self.register_buffer("init_cam", torch.tensor([[0.9, 0.0, 0.0]]))

    def mean(self, count: int) -> Body:
        """The person that all begin as."""
        pose = self.init_pose.unflatten(1, (24, 3, 3))
        return Body(*(x.expand(count, *x.shape[1:]) for x in (pose, self.init_shape, self.init_cam)))

    def forward(self, features: Tensor, body: Body) -> Body:
        """features (B, N), the place in the picture included."""
        pose = body.rotations.flatten(1)
        x = self.fc2(self.fc1(torch.cat([features, pose, body.betas, body.camera], 1)))
        raw = (self.decpose(x) + pose).unflatten(1, (24, 9))
        rotations = orthonormal(raw.flatten(0, 1)).unflatten(0, raw.shape[:2])
        return Body(rotations, self.decshape(x) + body.betas, self.deccam(x) + body.camera)


class Block(nn.Module):
    """One block of a vision transformer, without bias for queries, keys and values."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attn = nn.Module()
        self.attn.qkv, self.attn.proj = nn.Linear(width, 3 * width, bias=False), nn.Linear(width, width)
        self.mlp = nn.Module()
        self.mlp.fc1, self.mlp.fc2 = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        """(B, N, width) -> (B, N, width)"""
        q, k, v = self.attn.qkv(self.norm1(x)).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        x = x + self.attn.proj(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(-2))
        return x + self.mlp.fc2(F.gelu(self.mlp.fc1(self.norm2(x))))


def grid(count: int) -> Tensor:
    """(B, 63, 2) points all over the crop, column by column, in -1..1."""
    x, y = torch.meshgrid(torch.linspace(-1, 1, GRID[0]), torch.linspace(-1, 1, GRID[1]), indexing="ij")
    return torch.stack([x.flatten(), y.flatten()], -1).expand(count, -1, -1)


def project(points: Tensor, camera: Tensor) -> Tensor:
    """Points (B, N, 3) metres where the crop shows them (B, N, 2), in -1..1. camera (B, 3): scale and shift."""
    depth = 2 * FOCAL / (2 * HALF * camera[:, 0] + 1e-9)
    at = points + torch.cat([camera[:, 1:], depth[:, None]], 1)[:, None]
    return FOCAL * at[..., :2] / at[..., 2:] / HALF


def place_in_picture(box: Tensor, width: float, height: float) -> Tensor:
    """Where the box (B, 3) centre and height in pixels is in the picture: (B, 5), in units of its diagonal."""
    size = box.new_tensor([width, height])
    numbers = torch.cat([box[:, :2] - size / 2, box[:, 2:], size.expand(len(box), 2)], 1)
    return numbers / size.norm()


def down(person: Person) -> Tensor:
    """Gravity's direction (B, 3) in camera space: both orientations are of one body."""
    to_camera = person.body.rotations[:, 0] @ person.in_world.transpose(-1, -2)
    return to_camera[..., 1]


def affine(network: OrientCorrect) -> tuple[Tensor, Tensor]:
    """OrientCorrect as the one map that it is: matrix (9, 2164) and offset (9,), 19 thousand numbers for 8.7 million.

    Its output is matrix @ [features, camera 6D, orientation 9] + offset + orientation.
    """
    first, second, last = network.fc1, network.fc2, network.decrot
    matrix = last.weight.double() @ second.weight.double()
    offset = matrix @ first.bias.double() + last.weight.double() @ second.bias.double() + last.bias.double()
    return (matrix @ first.weight.double()).float(), offset.float()
