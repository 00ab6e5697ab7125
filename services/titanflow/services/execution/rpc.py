"""Which orders are open? Answers of execution."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from titanflow.adapters.rpc.caller import Caller
from titanflow.adapters.rpc.check import HEX, Check, find, number_of
from titanflow.adapters.rpc.method import AnyMethod, Method
from titanflow.adapters.rpc.ports import LiveOrder, Orders
from titanflow.adapters.rpc.refusal import shown
from titanflow.core.base.ident import ID_BYTES
from titanflow.rpc.v1 import portfolio_pb2 as portfolio
from titanflow.wire.v1 import words_pb2 as words

PAGE: Final = 100
PAGE_MOST: Final = 1_000

_PORTFOLIO: Final = portfolio.DESCRIPTOR.services_by_name["Portfolio"]


class ExecutionAnswers:
    """Execution's questions over its live orders."""

    def __init__(self, orders: Orders) -> None:
        self._orders = orders

    def methods(self) -> Sequence[AnyMethod]:
        """Return what is answered."""
        return (Method(_PORTFOLIO, "ListOpenOrders", answer=self.list_open_orders),)

    async def list_open_orders(
        self,
        request: portfolio.ListOpenOrdersRequest,
        caller: Caller,  # noqa: ARG002 - everybody may ask
    ) -> portfolio.ListOpenOrdersResponse:
        """Return one page of orders, by id: pages stay whole while orders come and go."""
        names, check = self._orders.names, Check()
        if request.contender:
            check.name("contender", request.contender)
        if request.symbol:
            check.symbol("symbol", request.symbol)
        size = request.page_size or PAGE
        check.between("page_size", size, 1, PAGE_MOST)
        after = request.page_token
        if after and (len(after) != 2 * ID_BYTES or HEX.fullmatch(after) is None):
            check.refuse("page_token", f"{shown(after)} is no token of an answer before")
        check.done()
        if request.contender:
            find("contender", request.contender, names.contenders, "contender")
        if request.symbol:
            find("instrument", request.symbol, names.symbols, "symbol")
        as_of, orders = await self._orders.live_orders()
        wanted = sorted(
            (
                order
                for order in orders
                if request.contender in {"", order.contender}
                and request.symbol in {"", order.symbol}
                and order.id.hex() > after
            ),
            key=lambda order: order.id,
        )
        page = wanted[:size]
        return portfolio.ListOpenOrdersResponse(
            as_of=as_of,
            orders=[_order(order) for order in page],
            next_page_token=page[-1].id.hex() if len(wanted) > size else "",
        )


def _order(order: LiveOrder) -> portfolio.OpenOrder:
    return portfolio.OpenOrder(
        id=order.id,
        contender=order.contender,
        symbol=order.symbol,
        client_order_id=order.client_order_id,
        status=number_of(order.status, words.OrdStatus),
        side=number_of(order.side, words.Side),
        order_type=number_of(order.order_type, words.OrderType),
        time_in_force=number_of(order.time_in_force, words.TimeInForce),
        post_only=order.post_only,
        quantity_lots=order.quantity_lots,
        limit_ticks=order.limit_ticks,
        cum_lots=order.cum_lots,
        leaves_lots=order.quantity_lots - order.cum_lots,
        created_at=order.created_at,
    )
