"""Entry of the Blender extension."""


def register() -> None:
    from .mocap_addon import registration

    registration.register()


def unregister() -> None:
    from .mocap_addon import registration

    registration.unregister()
