def answer(customer: str, messages: list) -> dict:
    asked = [message["content"] for message in messages if message["role"] == "user"]
    if len(asked) == 1:
        return {"text": f"Welcome, {customer}. We look into it: {asked[0]}"}
    return {"text": f"Hello again, {customer}. Before, you said: {asked[-2]}"}
