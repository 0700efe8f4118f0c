"""The published networks: our own implementations that load the official checkpoints, number for number.

| file | what |
|---|---|
| vit.py | the image transformer of HMR2.0, ViTPose and W-HMR |
| hmr2.py | HMR2.0 / 4D-Humans: SMPL pose from one crop |
| vitpose.py | keypoints from one crop |
| gvhmr.py | GVHMR: SMPL-X motion from keypoints and HMR2.0's tokens over time |
| gravity_view.py | GVHMR's orientations and velocities composed into one world |
| static_joints.py, ik.py | GVHMR's post-processing |
| camcalib.py, whmr.py | gravity from one picture; W-HMR |
| smplx.py | SMPL-X's rest joints and surface, from a user's model file |
| crops.py | what each of them looks at, normalised as published |
| checkpoints.py, runtime.py | reading files safely; device, precision, batches |
| lookers.py, solvers.py, yolo.py, rtmpose.py, world.py | the engines; registry.py names them |
"""
