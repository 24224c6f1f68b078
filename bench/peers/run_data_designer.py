"""data-designer's contender: a custom column whose generator holds the dialogue with two models.

Custom columns with ``models`` are its documented way to several calls a row; the rows run
concurrently. A row group is what it keeps when it is stopped.

Usage: python bench/peers/run_data_designer.py --base-url URL --sessions 100 --folder DIR
"""

from typing import Any

import data_designer.config as dd
import pandas as pd
from data_designer.config.run_config import RunConfig
from data_designer.engine.storage.artifact_storage import ResumeMode
from data_designer.interface import DataDesigner
from measured import Work, measure

MODELS = ["answerer", "asker"]


def _column(turns: int) -> Any:
    async def dialogue(
        row: dict[str, Any], generator_params: None, models: dict[str, Any]
    ) -> dict[str, Any]:
        lines = [row["opening"]]
        for turn in range(turns):
            lines.append((await models["answerer"].agenerate("\n\n".join(lines)))[0])
            if turn + 1 < turns:
                lines.append((await models["asker"].agenerate("\n\n".join(lines)))[0])
        row["dialogue"] = lines
        return row

    column = dd.custom_column_generator(required_columns=["opening"], model_aliases=MODELS)
    return column(dialogue)


def converse(work: Work) -> int:
    """Create the dataset, or go on with it; returns its rows."""
    provider = dd.ModelProvider(name="local", endpoint=work.base_url, api_key="none")
    inference = dd.ChatCompletionInferenceParams(max_parallel_requests=work.concurrency)
    configs = [
        dd.ModelConfig(alias=name, model=name, provider="local", inference_parameters=inference)
        for name in MODELS
    ]
    builder = dd.DataDesignerConfigBuilder(model_configs=configs)
    seeds = pd.DataFrame({"opening": work.openings()})
    source = work.folder / "openings.parquet"
    if not source.exists():
        seeds.to_parquet(source)
    builder.with_seed_dataset(dd.LocalFileSeedSource(path=str(source)))
    builder.add_column(
        dd.CustomColumnConfig(name="dialogue", generator_function=_column(work.turns))
    )
    designer = DataDesigner(artifact_path=work.folder / "artifacts", model_providers=[provider])
    groups = RunConfig(
        buffer_size=50, max_concurrent_row_groups=20, otel_metrics_port=None
    )  # 50 rows a group, so that a kill costs little; 20 groups, so that 1,000 rows are in flight
    designer.set_run_config(groups)
    done = designer.create(
        builder,
        num_records=work.sessions,
        dataset_name="dialogues",
        resume=ResumeMode.IF_POSSIBLE,
    )
    return len(done.load_dataset())


if __name__ == "__main__":
    measure(__doc__ or "", converse)
