# Before the config is read: the package becomes importable, and the config files are looked into.
import gc
import os
import subprocess
import sys
import tempfile
from pathlib import Path

# what Snakemake has imported is looked through for garbage no more: that was an eighth of a dry run
gc.freeze()

SNAKEMAKE_FOLDER = Path(".snakemake")
DEFAULT_CONFIG = Path("config/config.yaml")


def refuse(error):
    """End here: an exception would be printed by Snakemake with its own place in this file."""
    print(error, file=sys.stderr)
    sys.exit(1)


def project_folder():
    """Where the project is that this file is of, also as a module of another workflow."""
    here = workflow.current_basedir
    if hasattr(here, "isabs"):  # a folder
        return Path(here).resolve().parent
    if not hasattr(here, "ref"):
        refuse(f"{here}: prunethink must be in a folder or in a git repository")
    # Of a repository Snakemake fetches the files that it needs itself, and the package is none.
    is_hosted = hasattr(here, "hosted_repo")
    clone = here.hosted_repo.repo_clone if is_hosted else here.repo_path
    return unpacked(
        clone, git(clone, "rev-parse", f"{here.ref}^{{commit}}").decode().strip()
    )


def git(clone, *arguments):
    command = ["git", "-C", clone, *arguments]
    return subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout


def unpacked(clone, commit):
    """The folder below .snakemake that all files of a commit are put into, once."""
    folder = SNAKEMAKE_FOLDER.resolve() / "prunethink" / commit
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as made:
            whole = Path(made) / "whole"
            whole.mkdir()
            archive = git(clone, "archive", commit)
            subprocess.run(["tar", "-x", "-C", whole], input=archive, check=True)
            os.replace(whole, folder)
    return folder


PROJECT = project_folder()
if "{" in str(PROJECT):
    refuse(
        f"{PROJECT}: a path with braces, which Snakemake takes for wildcards; move the project"
    )
if workflow.modifier.path_modifier.replace_prefix("results/") != "results/":
    refuse(
        "prunethink: a module of it takes no prefix and no replace_prefix, its paths are fixed; "
        "give it a working directory of its own"
    )
takes_default = (
    not workflow.modifier.skip_configfile
)  # unless another workflow gives its config
if takes_default and not DEFAULT_CONFIG.exists() and not workflow.configfiles:
    refuse(
        f"{DEFAULT_CONFIG}: there is none in {Path.cwd()}, the working directory; copy it there or "
        f"name one: --configfile {PROJECT / DEFAULT_CONFIG}"
    )

sys.path.insert(0, str(PROJECT))
from workflow_scripts.config.overlays import check_config_files
from workflow_scripts.errors import InputError
from workflow_scripts.jobs.environment import prepare

prepare(os.environ, PROJECT)
config_files = [Path(file) for file in workflow.configfiles]
if takes_default and DEFAULT_CONFIG.exists():
    config_files.append(DEFAULT_CONFIG)
try:
    check_config_files(config_files)
except InputError as error:
    refuse(error)
