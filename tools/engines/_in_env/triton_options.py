"""Options of the Triton server. Standard library only: the adapter reads them too."""

import argparse


def build_parser() -> argparse.ArgumentParser:
    """What may follow the script's name."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--model", required=True, help="Folder of the checkpoint")
    parser.add_argument("--served-model-name", required=True)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument(
        "--max-batch-size", type=int, default=8, help="Requests that are generated in one batch"
    )
    parser.add_argument(
        "--max-queue-delay-microseconds",
        type=int,
        default=0,
        help="How long a request may wait for others to join its batch (dynamic_batching)",
    )
    parser.add_argument(
        "--dynamic-batching",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="Join waiting requests to one batch",
    )
    parser.add_argument(
        "--instance-count", type=int, default=1, help="Copies of the model (instance_group)"
    )
    parser.add_argument("--threads", type=int, help="Threads of one instance; default: torch's")
    parser.add_argument(
        "--dtype", choices=["auto", "float32", "bfloat16", "float16"], default="auto"
    )
    return parser


def config_pbtxt(options: argparse.Namespace, *, cuda: bool) -> str:
    """The model's configuration as Triton reads it."""
    batching = (
        "dynamic_batching {"
        f" max_queue_delay_microseconds: {options.max_queue_delay_microseconds} }}\n"
        if options.dynamic_batching and options.max_batch_size > 1
        else ""
    )
    size = options.max_batch_size if options.dynamic_batching else 1
    may = " optional: true"
    inputs = (
        *(("text_input", "STRING", ""), ("max_tokens", "INT32", may)),
        *(("stream", "BOOL", may), ("ignore_eos", "BOOL", may)),
    )
    rows = ",\n".join(
        f'  {{ name: "{name}" data_type: TYPE_{kind} dims: [ 1 ]{more} }}'
        for name, kind, more in inputs
    )
    outputs = ",\n".join(
        f'  {{ name: "{name}" data_type: TYPE_{kind} dims: [ 1 ] }}'
        for name, kind in (
            ("text_output", "STRING"), ("output_tokens", "INT32"), ("input_tokens", "INT32"),
        )
    )  # fmt: skip
    given = {"model": options.model, "dtype": options.dtype, "threads": str(options.threads or 0)}
    parameters = "".join(
        f'parameters {{ key: "{name}" value {{ string_value: "{_quoted(value)}" }} }}\n'
        for name, value in given.items()
    )
    return (
        f'name: "{_quoted(options.served_model_name)}"\n'
        'backend: "python"\n'
        f"max_batch_size: {size}\n"
        f"input [\n{rows}\n]\n"
        f"output [\n{outputs}\n]\n"
        "model_transaction_policy { decoupled: true }\n"
        f"{batching}"
        f"instance_group [ {{ count: {options.instance_count}"
        f" kind: {'KIND_GPU' if cuda else 'KIND_CPU'} }} ]\n"
        f"{parameters}"
    )


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')
