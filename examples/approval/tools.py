def pay(who: str, amount: float) -> dict:
    return {"letter": f"Dear {who}, {amount:.2f} EUR are on their way."}


def refuse(who: str, reason: str) -> dict:
    return {"letter": f"Dear {who}, this is not paid: {reason}."}
