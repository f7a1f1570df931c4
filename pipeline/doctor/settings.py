"""The settings files of all sites."""

from __future__ import annotations

from pathlib import Path

from pipeline.doctor.around import Around
from pipeline.doctor.finding import Finding, failed, ok, warning
from pipeline.sources.options import load_site
from schemas.settings import SettingsError


async def check(around: Around) -> list[Finding]:
    """Read every file as ingest does."""
    folder = around.config.settings_dir
    todo = "CALLBOARD_SETTINGS_DIR names the folder; docs/settings.md says what a file holds"
    try:
        files = sorted([*folder.glob("*.yml"), *folder.glob("*.yaml")])
        next(iter(folder.iterdir()), None)
    except OSError as error:
        return [failed("folder", f"{folder}: {error.strerror}", todo)]
    if not files:
        return [failed("folder", f"{folder} has no settings: there is no site", todo)]
    return _of_files(files)


def _of_files(files: list[Path]) -> list[Finding]:
    findings, owners = [], dict[str, Path]()
    for path in files:
        try:
            settings = load_site(path)
        except (SettingsError, OSError) as error:
            todo = "mend the file: until then its site keeps what it had, a new one does not begin"
            findings.append(failed(path.name, _without(path, error), todo))
            continue
        other = owners.setdefault(settings.site, path)
        if other != path:
            told = f"site {settings.site} stands in {other.name} already"
            findings.append(failed(path.name, told, "one file a site: remove one"))
            continue
        queues = f", {len(settings.queues)} queues named" if settings.queues else ""
        findings.append(ok(path.name, f"site {settings.site}, {settings.time_zone}{queues}"))
    if not owners:
        findings.append(warning("sites", "none can be used", "mend one of the files"))
    return findings


def _without(path: Path, error: Exception) -> str:
    """The file's name stands before it already."""
    return str(error).removeprefix(f"{path}: ")
