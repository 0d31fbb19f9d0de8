"""Which folders become which packages; everything else is in pyproject.toml.

The command line, the published weights and the small data live beside the library in the repository, where
people look for them, but are installed under the one name `rdae`. pyproject.toml can either find packages or
map folders to them, not both; hence these lines. The browser's viewer is installed where npm has built it.
"""

from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command import editable_wheel

FOLDERS = {"rdae.cli": "cli", "rdae.weights_data": "weights", "rdae.data": "data"}
if Path("web/dist/viewer/index.html").is_file():
    FOLDERS["rdae.web_data"] = "web/dist"

# In the folder above a clone Python takes the clone's own folder, if that is called rdae, for a package without a file,
# and never asks setuptools' finder, which comes last. So the finder is asked first where all that is found is a folder.
FIRST = """
class _BeforeFolders:
    @classmethod
    def find_spec(cls, fullname, path=None, target=None):
        found = PathFinder.find_spec(fullname) if path is None and fullname in MAPPING else None
        return _EditableFinder.find_spec(fullname) if found is not None and found.origin is None else None


sys.meta_path.insert(0, _BeforeFolders)
"""
if hasattr(
    editable_wheel, "_FINDER_TEMPLATE"
):  # there is no public way; without it only that folder is affected
    editable_wheel._FINDER_TEMPLATE += FIRST.replace("{", "{{").replace("}", "}}")  # noqa: SLF001

setup(
    packages=[*find_packages(include=["rdae", "rdae.*"]), *FOLDERS],
    package_dir=FOLDERS,
    include_package_data=False,
    data_files=[("share/man/man1", ["cli/rdae.1"])],
    package_data={
        "rdae": ["py.typed"],
        "rdae.reporting.comparison": ["comparison.html", "comparison.css", "comparison.js"],
        "rdae.reporting.page": ["report.html", "report.css", "report.js"],
        "rdae.weights_data": ["*.safetensors", "*.onnx", "*.json", "*.md"],
        "rdae.web_data": ["*.js", "*.mjs", "*.wasm", "viewer/*"],
        "rdae.data": ["*.png", "**/*.json", "**/*.md"],
    },
)
