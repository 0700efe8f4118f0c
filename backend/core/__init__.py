"""What both sides of the wire share: skeleton, rotations, protocol, take files. numpy and the standard library only."""
