"""What holds for all tests."""

from hypothesis import settings

# No deadline for one example: how long it takes says more of the machine's other work than of flashpy.
settings.register_profile("flashpy", settings(), deadline=None)
settings.load_profile("flashpy")
