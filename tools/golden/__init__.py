"""What is asked of the peer's server, by topic: each topic is a list of exchanges for a server that is still empty."""

from tools.golden import about, looking, managers, molecules, moving, querying, returning

TOPICS = {
    "about": about.EXCHANGES,
    "molecules": molecules.EXCHANGES,
    "looking": looking.EXCHANGES,
    "querying": querying.EXCHANGES,
    "moving": moving.EXCHANGES,
    "managers": managers.EXCHANGES,
    "returning": returning.EXCHANGES,
}
