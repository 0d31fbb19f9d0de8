"""Which folders become which packages; everything else is in pyproject.toml.

The command line, the published weights and the small data live beside the library in the repository, where
people look for them, but are installed under the one name `rdae`. pyproject.toml can either find packages or
map folders to them, not both; hence these lines.
"""

from setuptools import find_packages, setup

FOLDERS = {"rdae.cli": "cli", "rdae.weights_data": "weights", "rdae.data": "data"}

setup(
    packages=[*find_packages(include=["rdae", "rdae.*"]), *FOLDERS],
    package_dir=FOLDERS,
    include_package_data=False,
    package_data={
        "rdae": ["py.typed"],
        "rdae.reporting.page": ["report.html", "report.css", "report.js"],
        "rdae.weights_data": ["*.safetensors", "*.json", "*.md"],
        "rdae.data": ["*.png", "**/*.json", "**/*.md"],
    },
)
