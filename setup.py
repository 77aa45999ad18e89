"""The packages, by the names that they are installed under.

`app` and `conf` would be anyone's names in a folder that all programs share.
"""

from setuptools import find_packages, setup

RENAMED = {"odllm_app": "app", "odllm_conf": "conf"}

setup(
    packages=[
        *find_packages(include=["odllm_agent*", "odllm_controller*"]),
        *RENAMED,
        *(
            f"{name}.{package}"
            for name, folder in RENAMED.items()
            for package in find_packages(folder)
        ),
    ],
    package_dir=RENAMED,
)
