"""Our motion networks: lifter, FootMR, OrientCorrect. Only training and export need torch; they run from ONNX."""
