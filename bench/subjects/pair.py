"""Two of a kind in a row, as between two pods of a mesh: each stands before what the next one serves."""

from dataclasses import dataclass, replace

from bench.subjects.subject import Family, Running, Site, Subject


@dataclass(frozen=True, slots=True)
class Pair(Subject):
    """HTTP/1 all the way. Both are counted."""

    name: str
    one: Subject
    family: Family

    def missing(self) -> str | None:
        """As one of them."""
        return self.one.missing()

    def version(self) -> str:
        """As one of them."""
        return self.one.version()

    def launch(self, site: Site) -> Running:
        """The far one first."""
        far = self.one.start(replace(site, clients_tls=site.pair_tls))
        near = self.one.start(replace(site, servers=far.targets, servers_tls=site.pair_tls))
        return Running(near.targets, (*near.children, *far.children))
