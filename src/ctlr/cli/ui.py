"""`ctlr ui`: the web app."""

from __future__ import annotations

from pathlib import Path

import rich_click as click

from ctlr.cli.options import workspace_option

__all__ = ["ui"]


@click.command()
@workspace_option("Folder whose runs are shown, and that new ones go to; made where it does not exist.")
@click.option("--host", default="127.0.0.1", show_default=True,
              help="Address to listen at. Others than this machine's own need a token, which is drawn and printed.",
)  # fmt: skip
@click.option("--port", type=click.IntRange(0, 65535), default=8080, show_default=True, help="0 for a free one.")
@click.option("--root-path", default="", metavar="PATH", help="Path below which a proxy shows the app, e.g. `/ctlr`.")
@click.option("--token", envvar="CTLR_UI_TOKEN", help="What whoever opens the app must know, 16 characters or more.")
@click.option("--allow-host", "hosts", multiple=True, metavar="NAME",
              help="Name by which browsers reach the app, e.g. that of a proxy; `*` for any. Repeatable.")  # fmt: skip
@click.option("--trust-header", default="", metavar="HEADER",
              help="Header in which a proxy says who asks, e.g. `kubeflow-userid`. Whoever reaches the port past the "
              "proxy can write it too.")  # fmt: skip
@click.option("--user", "users", multiple=True, metavar="NAME", help="Who may use the app, by that header. Repeatable.")
@click.option("--namespace", default="", metavar="NAME",
              help="Namespace of a cluster (KUBECONFIG, or the pod's): its searches are shown, and whom the header "
              "names must have rights in it. Who may list Experiments looks, who may create them changes things.",
)  # fmt: skip
@click.option("--data", multiple=True, type=click.Path(path_type=Path), metavar="DIR",
              help="Folders below which pictures may be used where they lie; by default all for this machine's own "
              "users, `data` of the workspace for others. Repeatable.")  # fmt: skip
@click.option("--monitor", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
              help="File that `ctlr serve --monitor FILE` writes; it is shown, live.")  # fmt: skip
@click.option("--show-volumes", "volumes", is_flag=True,
              help="Show slices of test volumes of datasets that are not public; they may show a face.")  # fmt: skip
def ui(
    workspace: Path,
    host: str,
    port: int,
    root_path: str,
    token: str | None,
    hosts: tuple[str, ...],
    trust_header: str,
    users: tuple[str, ...],
    namespace: str,
    data: tuple[Path, ...],
    monitor: Path | None,
    volumes: bool,
) -> None:
    """Show a workspace's runs in a browser, live, and start new ones on folders of pictures.

    The runs do not need it: they go on when it ends, and when it is killed.
    """
    from ctlr.errors import require

    for module in ("fastapi", "uvicorn", "python_multipart"):
        require(module, extra="ui")
    from ctlr.ui.options import checked
    from ctlr.ui.serving import serve

    options = checked(
        workspace, host=host, port=port, prefix=root_path, token=token, hosts=hosts, user_header=trust_header,
        users=users, namespace=namespace, data=data, monitor=monitor, volumes=volumes,
    )  # fmt: skip
    serve(options, say=click.echo)
