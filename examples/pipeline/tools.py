def split_lines(text: str) -> dict:
    return {"lines": text.splitlines()}


def convert(record: str, factor: float = 1) -> dict:
    return {"value": float(record) * factor}


def add_up(results: dict, unit: str) -> dict:
    outputs = [output for output in results["outputs"].values() if output]
    left_out = results["progress_info"]["failed_count"]
    return {"total": sum(output["value"] for output in outputs), "unit": unit, "left_out": left_out}
