"""Nothing between client and server: what the load and the origin do without anyone's help."""

from dataclasses import dataclass

from bench.subjects.subject import Family, Running, Site, Subject


@dataclass(frozen=True, slots=True)
class Direct(Subject):
    """The servers themselves. It costs nothing, so its row has no processor time."""

    name: str = "direct"
    family: Family = "direct"

    def missing(self) -> str | None:
        """Never."""
        return None

    def version(self) -> str:
        """There is nothing to have one."""
        return "–"

    def launch(self, site: Site) -> Running:
        """The load asks all servers in turn."""
        return Running(site.servers)
