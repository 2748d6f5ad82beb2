"""The proxy with line faults accepts connections from this machine only."""

from tests.sockets import listening

from .fault_proxy import FaultProxy


def test_a_proxy_listens_on_the_loopback_interface_alone():
    with FaultProxy("socket://127.0.0.1:1") as proxy:
        port = int(proxy.url.rpartition(":")[2])
        assert listening(port) == ["0100007F"]
