"""Export the XNYS sessions of exchange_calendars into data/calendar/xnys.csv.

Run with the development environment: python scripts/data/export_calendar.py
The library computes its rules without an end; 2040 is far enough for every horizon of the
product. NYSE itself publishes about three years ahead, later years are the rules projected,
and unscheduled closures belong into the overrides table (market.calendar_overrides).
"""

import argparse
from importlib.metadata import version
from pathlib import Path

import exchange_calendars

FIRST, LAST = "1990-01-01", "2040-12-31"
HEADER = """\
# XNYS (New York Stock Exchange) sessions, regular hours. Instants are UTC.
# Made by scripts/data/export_calendar.py from exchange_calendars {library} (Apache-2.0), {first} to {last}.
# early: 1 = closes before 16:00 New York. No session of this range opens late.
session,open,close,early
"""


def export(target: Path) -> None:
    calendar = exchange_calendars.get_calendar("XNYS", start=FIRST, end=LAST)
    schedule = calendar.schedule
    early = set(calendar.early_closes)
    assert len(calendar.late_opens) == 0, "the file has no column for late opens"
    lines = [
        HEADER.format(
            library=version("exchange_calendars"),
            first=schedule.index[0].date(),
            last=schedule.index[-1].date(),
        )
    ]
    for session, opens, closes in zip(schedule.index, schedule["open"], schedule["close"], strict=True):
        # The file stores only times of day: both instants must lie on the session's own UTC date.
        assert opens.date() == closes.date() == session.date(), session
        assert opens.second == closes.second == 0, session
        lines.append(f"{session:%Y-%m-%d},{opens:%H:%M},{closes:%H:%M},{int(session in early)}\n")
    target.write_text("".join(lines), encoding="ascii", newline="\n")
    print(f"{len(schedule)} sessions, {len(early)} early closes")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("data/calendar/xnys.csv"))
    export(parser.parse_args().out)
