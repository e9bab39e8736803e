import hashlib


def book(customer: str, amount: float) -> dict:
    digest = hashlib.sha256(f"{customer}/{amount}".encode()).hexdigest()
    return {"number": f"S-{digest[:8]}"}


def write(customer: str, number: str) -> dict:
    return {"letter": f"Dear {customer}, thank you for {number}."}
