"""One line a stage on a run's page: how far, how fast, what failed, what it took."""

from collections.abc import Mapping

from nicegui import ui

from dashboard.widgets import Bar, block, chip, line
from parrot_core.monitor import StageState
from parrot_core.monitor.costs import brief_cost
from parrot_core.monitor.state import status_words
from parrot_core.text.sanitise import one_line
from parrot_core.text.wording import count, duration, plural, rate, short_count


class StageRow:
    """One stage of the table."""

    def __init__(self, run: str, stage: StageState) -> None:
        with block("stage"):
            with block("who"):
                ui.link(stage.name, f"/run/{run}/{stage.name}").classes("name")
                line(f"→ {stage.output}", "soft small")
            with block("how"):
                self._bar = Bar(f"Progress of {stage.name}")
                with block("row small soft"):
                    self._amount = line("", "grow")
                    self._speed = line("")
                    self._time = line("")
            self._chip = chip("waiting")
            self._failed = line("", "failed-count small")
            with block("sums small"):
                self._rejects = line("")
                self._tokens = line("")
                self._usd = line("")
            self._remark = line("", "remark small")

    def show(self, stage: StageState, recipe: Mapping[str, object]) -> None:
        pinned = f"from {one_line(stage.version, 30)}" if stage.status == "pinned" else ""
        self._chip.set_text(pinned or status_words(stage.status))
        self._chip.classes(replace=f"chip {stage.status}")
        waiting = stage.status in ("waiting", "starting", "skipped")
        self._bar.show(0.0 if waiting else stage.percent, stage.status)
        self._amount.set_text(_amount(stage))
        self._speed.set_text(rate(stage.rate, "") if stage.status == "running" else "")
        left = stage.eta_s if stage.status == "running" else None
        took = duration(stage.seconds) if stage.seconds else ""
        self._time.set_text(f"{duration(left)} left" if left is not None else took)
        counts = stage.counted and not waiting
        self._rejects.set_text(f"{count(stage.rejects)} rejects" if counts else "")
        self._tokens.set_text(f"{short_count(stage.tokens)} tokens" if stage.tokens else "")
        self._usd.set_text(brief_cost(stage.usage.items(), recipe) if stage.usage else "")
        self._failed.set_text(failed_words(stage.failed, stage.quarantined))
        self._failed.set_visibility(bool(stage.failed))
        remark = _remark(stage)
        self._remark.set_text(remark)
        self._remark.set_visibility(bool(remark))
        tone = "failed" if stage.failed or stage.failure else stage.status
        self._remark.classes(replace=f"remark small {tone}")


def failed_words(failed: int, quarantined: int) -> str:
    """``46 failed, 3 in quarantine``; empty when nothing failed."""
    if not failed:
        return ""
    return f"{count(failed)} failed" + (f", {quarantined} in quarantine" if quarantined else "")


def _amount(stage: StageState) -> str:
    unit = stage.unit or "unit"
    if stage.published:
        return "trained" if stage.kind == "model" else plural(stage.rows_out, unit)
    if stage.total:
        return f"{count(stage.done)} of {plural(stage.total, unit)}"
    return count(stage.done) if stage.done else ""


def _remark(stage: StageState) -> str:
    """What matters most about a stage now."""
    if stage.status == "pinned":
        return ""
    if stage.status == "skipped":
        return "not asked for"
    if stage.status == "starting":
        return one_line(stage.doing, 160)
    failed = stage.having("failed")
    if failed and failed[-1].last_error is not None:
        error = failed[-1].last_error
        return f"shard {failed[-1].index}: {error.error_type}: {one_line(error.message, 300)}"
    if stage.failure is not None:
        return one_line(f"{stage.failure.error_type}: {stage.failure.message}", 300)
    if stage.pause:
        return one_line(stage.pause, 300)
    told = [f"{engine}: {one_line(what, 120)}" for engine, what in stage.waiting.items()]
    stalled = len(stage.having("stalled"))
    told += [f"{plural(stalled, 'shard')} silent"] if stalled else []
    told += [one_line(warning, 200) for warning in stage.warnings[:2]]
    return " · ".join(told)
