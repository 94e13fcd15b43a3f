"""User management: accounts, signing in with a password and perhaps a code, and who is here."""

from __future__ import annotations

import base64
import hashlib
import hmac
import itertools
import logging
import os
import secrets
import threading
import time
from dataclasses import dataclass, field
from typing import Any, Literal, NoReturn

import second_factor
import service
from fastapi import HTTPException
from pydantic import BaseModel

from tradespan.recorders import business

IDLE = float(os.environ.get("IDLE_SECONDS", "900"))  # then a customer counts as gone
LOCK = float(os.environ.get("LOCK_SECONDS", "300"))
TRIES = 3  # wrong ones in a row, then the account is locked for a while

log = logging.getLogger("users")
security = logging.getLogger("auth.users")

stats = service.Counts()
app = service.application("users", stats)
numbers = itertools.count(1)
lock = threading.Lock()


class SignUp(BaseModel):
    """A new customer."""

    email: str
    password: str
    second_factor: bool = False


class SignIn(BaseModel):
    """A customer who comes."""

    email: str
    password: str
    code: str = ""


class Token(BaseModel):
    """What a signed-in customer shows."""

    token: str


class Plan(BaseModel):
    """What a customer has paid for."""

    user_id: str
    plan: Literal["free", "pro"]


@dataclass
class Account:
    """What is known of a customer."""

    user_id: str
    salt: bytes
    password: bytes
    secret: str = ""
    plan: str = "free"
    failures: int = 0
    locked_until: float = 0.0


@dataclass
class Visit:
    """From signing in to signing out."""

    account: Account
    began: float = field(default_factory=time.monotonic)
    seen: float = field(default_factory=time.monotonic)


accounts: dict[str, Account] = {}  # by e-mail address
visits: dict[str, Visit] = {}  # by token


@app.post("/accounts", status_code=201)
def sign_up(body: SignUp) -> dict[str, str]:
    salt, secret = secrets.token_bytes(16), ""
    if body.second_factor:
        secret = base64.b32encode(secrets.token_bytes(20)).decode()
    hashed = digest(body.password, salt)
    with lock:
        if body.email in accounts:
            raise HTTPException(409, "there is such an account")
        account = Account(f"u-{next(numbers)}", salt, hashed, secret)
        accounts[body.email] = account
    business.registration()
    stats.add("registrations")
    service.user_id.set(account.user_id)
    log.info("registered", extra={"second_factor": body.second_factor})
    return {"user_id": account.user_id, "secret": secret}


@app.post("/sign-ins")
def sign_in(body: SignIn) -> dict[str, str]:
    account = accounts.get(body.email)
    if account is None:
        refuse(401, "credentials")
    service.user_id.set(account.user_id)
    if time.monotonic() < account.locked_until:
        refuse(423, "locked")
    if not hmac.compare_digest(digest(body.password, account.salt), account.password):
        failed(account)
        refuse(401, "credentials")
    if account.secret and body.code not in map(second_factor.code, [account.secret] * 2, (0, 1)):
        failed(account)
        refuse(401, "second_factor")
    account.failures = 0
    token = secrets.token_urlsafe(24)
    with lock:
        visits[token] = Visit(account)
    count_active()
    stats.add("sign_ins")
    security.info("signed in", extra={"second_factor": bool(account.secret)})
    return {"token": token, "plan": account.plan}


@app.post("/sign-outs")
def sign_out(body: Token) -> dict[str, bool]:
    return {"ended": end(body.token, "signed out")}


@app.post("/internal/introspect")
def introspect(body: Token) -> dict[str, Any]:
    """Whose token it is, for the gateway."""
    visit = visits.get(body.token)
    if visit is None:
        return {"active": False}
    visit.seen = time.monotonic()
    return {"active": True, "user_id": visit.account.user_id, "plan": visit.account.plan}


@app.post("/internal/plans")
def change_plan(body: Plan) -> dict[str, str]:
    """Note what a customer has paid for, for the payments."""
    for account in list(accounts.values()):
        if account.user_id == body.user_id:
            account.plan = body.plan
            log.info("the plan is %s now", body.plan, extra={"plan": body.plan})
            return {"plan": account.plan}
    raise HTTPException(404, "no such user")


def digest(password: str, salt: bytes) -> bytes:
    return hashlib.scrypt(password.encode(), salt=salt, n=1024, r=8, p=1)


def failed(account: Account) -> None:
    """Note a wrong password or code; the third in a row locks the account for a while."""
    account.failures += 1
    if account.failures >= TRIES:
        account.failures, account.locked_until = 0, time.monotonic() + LOCK
        security.error("locked after %d wrong tries", TRIES, extra={"seconds": LOCK})


def refuse(status: int, reason: str) -> NoReturn:
    business.authentication_failed(reason)
    stats.add(reason)
    security.warning("refused: %s", reason, extra={"reason": reason})
    raise HTTPException(status, reason)


def end(token: str, how: str) -> bool:
    """End a visit, once."""
    with lock:
        visit = visits.pop(token, None)
    if visit is None:
        return False
    seconds = time.monotonic() - visit.began
    business.session_ended(seconds)
    count_active()
    stats.add("ended")
    log.info("%s after %.1f s", how, seconds, extra={"seconds": round(seconds, 1)})
    return True


def count_active() -> None:
    with lock:
        business.active_users(len({visit.account.user_id for visit in visits.values()}))


def sweep() -> None:
    """End, for ever, the visits of those who have left without a word."""
    while True:
        time.sleep(service.INTERVAL)
        gone = time.monotonic() - IDLE
        for token in [token for token, visit in list(visits.items()) if visit.seen < gone]:
            end(token, "left without a word")


if __name__ == "__main__":
    business.open()
    threading.Thread(target=sweep, daemon=True).start()
    service.serve(app, 8081)
