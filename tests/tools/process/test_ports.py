import socket

from tools.process import free_port, port_taken


def test_a_port_is_taken_while_somebody_listens() -> None:
    port = free_port()
    assert not port_taken(port)
    with socket.create_server(("127.0.0.1", port)):
        assert port_taken(port)
    assert not port_taken(port)


def test_a_listener_on_all_interfaces_takes_the_port() -> None:
    with socket.create_server(("0.0.0.0", 0)) as server:  # noqa: S104 - what is to be detected
        assert port_taken(server.getsockname()[1])
