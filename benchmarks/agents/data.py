"""Small tables with the schemas of IMDb's non-commercial files and of TPC-H, in DuckDB, from a seed.

The values follow the specifications where the queries of the workloads look: regions, segments, ship modes,
brands, dates and flags of TPC-H; professions, genres and regions of IMDb.
"""

import atexit
import functools
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from attrs import define

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

NATIONS = {
    "AFRICA": "ALGERIA, ETHIOPIA, KENYA, MOROCCO, MOZAMBIQUE",
    "AMERICA": "ARGENTINA, BRAZIL, CANADA, PERU, UNITED STATES",
    "ASIA": "INDIA, INDONESIA, JAPAN, CHINA, VIETNAM",
    "EUROPE": "FRANCE, GERMANY, ROMANIA, RUSSIA, UNITED KINGDOM",
    "MIDDLE EAST": "EGYPT, IRAN, IRAQ, JORDAN, SAUDI ARABIA",
}
"""The nations of each region."""
REGIONS = tuple(NATIONS)
SEGMENTS = ("AUTOMOBILE", "BUILDING", "FURNITURE", "HOUSEHOLD", "MACHINERY")
SHIP_MODES = ("AIR", "AIR REG", "RAIL", "SHIP", "TRUCK", "MAIL", "FOB")
PRIORITIES = ("1-URGENT", "2-HIGH", "3-MEDIUM", "4-NOT SPECIFIED", "5-LOW")
PART_TYPES = tuple(
    f"{size} {finish} {metal}"
    for size in ("STANDARD", "SMALL", "ECONOMY", "PROMO")
    for finish in ("ANODIZED", "BRUSHED", "PLATED")
    for metal in ("TIN", "NICKEL", "BRASS", "STEEL", "COPPER")
)
FIRST_DAY, CURRENT_DAY = date(1992, 1, 1), date(1995, 6, 17)
TITLES = ("Inception", "The Matrix", "Alien", "Solaris", "Heat", "Casablanca", "Stalker", "Metropolis")
WORDS = ("Night", "River", "Glass", "Garden", "Winter", "Silent", "Crown", "Harbour", "Stone", "Echo")
NAMES = ("Ada", "Noor", "Ken", "Ines", "Tomas", "Mei", "Ola", "Ravi", "Lena", "Sam")
PROFESSIONS = ("actor", "actress", "director", "producer", "writer", "composer", "editor")
GENRES = ("Action", "Drama", "Sci-Fi", "Thriller", "Comedy", "Romance", "Crime", "Mystery")
TITLE_TYPES = ("movie", "movie", "movie", "tvMovie", "tvSeries", "short")
AKA_REGIONS = (("US", "en"), ("DE", "de"), ("FR", "fr"), ("JP", "ja"), ("IN", "hi"), ("BR", "pt"))

Rows = Iterable[Sequence[object]]

TABLES = {
    "region": "r_regionkey INTEGER, r_name VARCHAR",
    "nation": "n_nationkey INTEGER, n_name VARCHAR, n_regionkey INTEGER",
    "supplier": "s_suppkey INTEGER, s_name VARCHAR, s_nationkey INTEGER, s_acctbal DECIMAL(15,2)",
    "customer": "c_custkey INTEGER, c_name VARCHAR, c_nationkey INTEGER, c_mktsegment VARCHAR",
    "part": "p_partkey INTEGER, p_name VARCHAR, p_mfgr VARCHAR, p_brand VARCHAR, p_type VARCHAR, "
    "p_size INTEGER",
    "partsupp": "ps_partkey INTEGER, ps_suppkey INTEGER, ps_availqty INTEGER, ps_supplycost DECIMAL(15,2)",
    "orders": "o_orderkey INTEGER, o_custkey INTEGER, o_orderdate DATE, o_orderpriority VARCHAR, "
    "o_shippriority INTEGER",
    "lineitem": "l_orderkey INTEGER, l_partkey INTEGER, l_suppkey INTEGER, l_linenumber INTEGER, "
    "l_quantity DECIMAL(15,2), l_extendedprice DECIMAL(15,2), l_discount DECIMAL(15,2), l_tax DECIMAL(15,2), "
    "l_returnflag VARCHAR, l_linestatus VARCHAR, l_shipdate DATE, l_commitdate DATE, l_receiptdate DATE, "
    "l_shipmode VARCHAR",
    "title_basics": "tconst VARCHAR, title_type VARCHAR, primary_title VARCHAR, original_title VARCHAR, "
    "start_year INTEGER, runtime_minutes INTEGER, genres VARCHAR",
    "title_ratings": "tconst VARCHAR, average_rating DOUBLE, num_votes INTEGER",
    "name_basics": "nconst VARCHAR, primary_name VARCHAR, primary_profession VARCHAR, "
    "known_for_titles VARCHAR",
    "title_akas": "title_id VARCHAR, ordering INTEGER, title VARCHAR, region VARCHAR, language VARCHAR, "
    "is_original_title BOOLEAN",
}


@define(eq=False)
class Database:
    """A connection, which is let go when the process ends: threads of a run may outlive who made it."""

    connection: "DuckDBPyConnection | None"

    def rows(self, text: str, given: Mapping[str, object]) -> list[dict[str, object]]:
        """The rows of a statement as plain JSON; parameters are bound, never pasted."""
        assert self.connection is not None
        result = self.connection.execute(text, dict(given))
        names = [column[0] for column in result.description]
        return [dict(zip(names, map(_plain, row), strict=True)) for row in result.fetchall()]

    def close(self) -> None:
        """Lets the connection go."""
        if self.connection is not None:
            self.connection.close()
            self.connection = None


def _plain(value: object) -> object:
    match value:
        case Decimal():
            return float(value)
        case date():
            return value.isoformat()
    return value


@functools.cache
def database(seed: int = 7, orders: int = 600, titles: int = 400) -> Database:
    """A database in memory with all tables filled. Raises ImportError without DuckDB."""
    import duckdb

    connection = duckdb.connect()
    for name, declared in TABLES.items():
        connection.execute(f"CREATE TABLE {name} ({declared})")
    for name, rows in (*_tpch(random.Random(seed), orders), *_imdb(random.Random(seed + 1), titles)):
        columns = [list(column) for column in zip(*rows, strict=True)]
        parts = ", ".join("unnest(?)" for _ in columns)  # a column at a time: a row at a time is slow
        connection.execute(f"INSERT INTO {name} SELECT {parts}", columns)
    found = Database(connection)
    atexit.register(found.close)
    return found


def _tpch(chance: random.Random, orders: int) -> Iterator[tuple[str, Rows]]:
    suppliers, customers, parts = max(20, orders // 30), max(30, orders // 10), max(40, orders // 8)
    yield "region", enumerate(REGIONS)
    pairs = [(name, region) for region, names in enumerate(NATIONS.values()) for name in names.split(", ")]
    yield "nation", [(key, name, region) for key, (name, region) in enumerate(pairs)]
    yield (
        "supplier",
        [
            (key, f"Supplier#{key:09d}", chance.randrange(25), round(chance.uniform(-999, 9999), 2))
            for key in range(1, suppliers + 1)
        ],
    )
    yield (
        "customer",
        [
            (key, f"Customer#{key:09d}", chance.randrange(25), chance.choice(SEGMENTS))
            for key in range(1, customers + 1)
        ],
    )
    yield "part", [_part(chance, key) for key in range(1, parts + 1)]
    supply = {key: chance.sample(range(1, suppliers + 1), 4) for key in range(1, parts + 1)}
    yield (
        "partsupp",
        [
            (part, supplier, chance.randint(1, 9999), round(chance.uniform(1, 1000), 2))
            for part, sellers in supply.items()
            for supplier in sellers
        ],
    )
    days = [FIRST_DAY + timedelta(chance.randrange(2406)) for _ in range(orders)]
    yield (
        "orders",
        [
            (key, chance.randint(1, customers), day, chance.choice(PRIORITIES), 0)
            for key, day in enumerate(days, 1)
        ],
    )
    yield "lineitem", [line for key, day in enumerate(days, 1) for line in _lines(chance, key, day, supply)]


def _part(chance: random.Random, key: int) -> Sequence[object]:
    maker = chance.randint(1, 5)
    brand = f"Brand#{maker}{chance.randint(1, 5)}"
    return (
        key,
        f"part {key}",
        f"Manufacturer#{maker}",
        brand,
        chance.choice(PART_TYPES),
        chance.randint(1, 50),
    )


def _lines(
    chance: random.Random, order: int, day: date, supply: dict[int, list[int]]
) -> Iterator[Sequence[object]]:
    """The lines of an order, with the dates and flags of section 4.2.3 of the TPC-H specification."""
    for number in range(1, chance.randint(1, 7) + 1):
        part = chance.choice(list(supply))
        quantity = chance.randint(1, 50)
        shipped = day + timedelta(chance.randint(1, 121))
        received = shipped + timedelta(chance.randint(1, 30))
        flag = chance.choice("RA") if received <= CURRENT_DAY else "N"
        yield (
            order,
            part,
            chance.choice(supply[part]),
            number,
            quantity,
            round(quantity * (900 + part % 1000), 2),
            chance.randint(0, 10) / 100,
            chance.randint(0, 8) / 100,
            flag,
            "O" if shipped > CURRENT_DAY else "F",
            shipped,
            day + timedelta(chance.randint(30, 90)),
            received,
            chance.choice(SHIP_MODES),
        )


def _imdb(chance: random.Random, titles: int) -> Iterator[tuple[str, Rows]]:
    names = [
        *TITLES,
        *(f"{chance.choice(WORDS)} {chance.choice(WORDS)}" for _ in range(titles - len(TITLES))),
    ]
    keys = [f"tt{number:07d}" for number in range(1, titles + 1)]
    yield (
        "title_basics",
        [
            (
                key,
                "movie" if number < len(TITLES) else chance.choice(TITLE_TYPES),
                name,
                name,
                chance.randint(1930, 2024),
                chance.randint(60, 200),
                ",".join(chance.sample(GENRES, chance.randint(1, 3))),
            )
            for number, (key, name) in enumerate(zip(keys, names, strict=True))
        ],
    )
    yield (
        "title_ratings",
        [
            (key, round(chance.uniform(3, 9.5), 1), chance.randint(5, 2_000_000))
            for key in keys[: titles * 4 // 5]
        ],
    )
    yield (
        "name_basics",
        [
            (
                f"nm{number:07d}",
                f"{chance.choice(NAMES)} {chance.choice(WORDS)}",
                ",".join(chance.sample(PROFESSIONS, chance.randint(1, 3))),
                ",".join(chance.sample(keys, 2)),
            )
            for number in range(1, titles + 1)
        ],
    )
    yield (
        "title_akas",
        [
            (key, order, name if order == 1 else f"{name} ({region})", region, language, order == 1)
            for key, name in zip(keys, names, strict=True)
            for order, (region, language) in enumerate(chance.sample(AKA_REGIONS, 3), 1)
        ],
    )
