"""Where two answers differ; for mlflow_clients.py and mlflow_replay.py."""


def differences(a, b, where=""):
    """Tells (field, one's, other's); true is not 1."""
    if isinstance(a, dict) and isinstance(b, dict):
        for key in sorted(set(a) | set(b)):
            yield from differences(a.get(key, "<absent>"), b.get(key, "<absent>"), f"{where}.{key}" if where else key)
    elif isinstance(a, list) and isinstance(b, list) and len(a) == len(b):
        for i, (x, y) in enumerate(zip(a, b)):
            yield from differences(x, y, f"{where}[{i}]")
    elif a != b or isinstance(a, bool) != isinstance(b, bool):
        yield where, a, b
