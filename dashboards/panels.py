"""What the dashboards are made of: variables, panels of four kinds, and their places.

Comes in: titles, queries, descriptions. Goes out: builders of grafana-foundation-sdk.
"""

from collections.abc import Iterable, Sequence

from grafana_foundation_sdk.builders import dashboard, prometheus, stat, statetimeline, table, timeseries
from grafana_foundation_sdk.builders.common import VizLegendOptions, VizTooltipOptions
from grafana_foundation_sdk.models import common as common_models
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

SOURCE = models.DataSourceRef(type_val="prometheus", uid="${datasource}")
#: Series of the chosen daemons, of the chosen device, of the chosen stream.
HERE = 'instance=~"$instance"'
DEVICE = f'{HERE}, stream=~"($device)(/[^/]+)?"'
STREAM = f'{HERE}, stream="$stream"'

Panel = stat.Panel | timeseries.Panel | table.Panel | statetimeline.Panel
Override = tuple[str, dict[str, object]]

DASHED: dict[str, object] = {"custom.lineStyle": {"fill": "dash", "dash": [6, 4]}}


def base(title: str, uid: str, variables: Iterable[object]) -> dashboard.Dashboard:
    """Return an empty dashboard with the data source, variables and links to the others."""
    made = (
        dashboard.Dashboard(title)
        .uid(uid)
        .tags(["foretell"])
        .refresh("10s")
        .time("now-6h", "now")
        .timezone("browser")
        .tooltip(models.DashboardCursorSync.CROSSHAIR)
        .with_variable(dashboard.DatasourceVariable("datasource").label("Data source").type("prometheus"))
        .link(
            dashboard.DashboardLink("Foretell")
            .type(models.DashboardLinkType.DASHBOARDS)
            .tags(["foretell"])
            .keep_time(keep_time=True)
            .include_vars(include_vars=True)
        )
    )
    for variable in variables:
        made.with_variable(variable)  # type: ignore[arg-type]  # each is a builder
    return made


def variables(*more: str) -> list[object]:
    """Return the choice of site and daemon, and of what else is named."""
    site = variable("site", "Site", "label_values(foretell_build_info, site)")
    instance = variable("instance", "Daemon", 'label_values(foretell_build_info{site=~"$site"}, instance)')
    found: list[object] = [site, instance]
    if "device" in more:
        device = variable("device", "Device", f"label_values(foretell_reading_value{{{HERE}}}, stream)")
        found.append(device.regex("/^(.+?)(?:\\/[^\\/]+)?$/").all_value(".*"))
    return found


def variable(name: str, label: str, query: str) -> dashboard.QueryVariable:
    """Return a choice of several values that a query gives, all of them at first."""
    return (
        dashboard.QueryVariable(name)
        .label(label)
        .datasource(SOURCE)
        .query(query)
        .refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(models.VariableSort.ALPHABETICAL_ASC)
        .multi(multi=True)
        .include_all(include_all=True)
        .current(models.VariableOption(selected=True, text="All", value="$__all"))
    )


def stream_variable() -> dashboard.QueryVariable:
    """Return the choice of one stream."""
    return (
        dashboard.QueryVariable("stream")
        .label("Stream")
        .datasource(SOURCE)
        .query(f"label_values(foretell_reading_value{{{DEVICE}}}, stream)")
        .refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(models.VariableSort.ALPHABETICAL_ASC)
    )


def placed(made: dashboard.Dashboard, numbers: Sequence[stat.Panel], panels: Sequence[Panel]) -> dashboard.Dashboard:
    """Put numbers in a row at the top, and the other panels in two columns below."""
    y = 0
    for i, number in enumerate(numbers):
        made.with_panel(number.grid_pos(models.GridPos(h=4, w=4, x=4 * i, y=0)))
        y = 4
    for i, panel in enumerate(panels):
        made.with_panel(panel.grid_pos(models.GridPos(h=8, w=12, x=12 * (i % 2), y=y + 8 * (i // 2))))
    return made


def _query(expr: str, legend: str, ref: str) -> prometheus.Dataquery:
    return prometheus.Dataquery().expr(expr).legend_format(legend).ref_id(ref).datasource(SOURCE)


def number(
    title: str,
    expr: str,
    description: str,
    unit: str = "short",
    alarm_at: float | None = None,
    good_at: float | None = None,
) -> stat.Panel:
    """Return a panel that shows one number."""
    steps = [models.Threshold(color="green", value=None)]
    if alarm_at is not None:
        steps.append(models.Threshold(color="orange", value=alarm_at))
    if good_at is not None:
        steps = [models.Threshold(color="red", value=None), models.Threshold(color="green", value=good_at)]
    return (
        stat.Panel()
        .title(title)
        .description(description)
        .datasource(SOURCE)
        .unit(unit)
        .thresholds(dashboard.ThresholdsConfig().mode(models.ThresholdsMode.ABSOLUTE).steps(steps))
        .with_target(_query(expr, "", "A"))
    )


def lines(
    title: str, queries: dict[str, str], description: str, *, unit: str = "short", overrides: Iterable[Override] = ()
) -> timeseries.Panel:
    """Return a panel with a line per query, by legend."""
    panel = (
        timeseries.Panel()
        .title(title)
        .description(description)
        .datasource(SOURCE)
        .unit(unit)
        .line_width(1)
        .show_points(common_models.VisibilityMode.NEVER)
        .legend(
            VizLegendOptions()
            .display_mode(common_models.LegendDisplayMode.LIST)
            .placement(common_models.LegendPlacement.BOTTOM)
            .show_legend(show_legend=True)
        )
        .tooltip(VizTooltipOptions().mode(common_models.TooltipDisplayMode.MULTI))
    )
    for i, (legend, expr) in enumerate(queries.items()):
        panel.with_target(_query(expr, legend, chr(ord("A") + i)))
    for name, properties in overrides:
        panel.override_by_name(
            name, [models.DynamicConfigValue(id_val=key, value=value) for key, value in properties.items()]
        )
    return panel


def table_of(title: str, expr: str, description: str) -> table.Panel:
    """Return a panel with a row per series."""
    hidden = dict.fromkeys(("Time", "__name__", "job"), True)
    return (
        table.Panel()
        .title(title)
        .description(description)
        .datasource(SOURCE)
        .decimals(1)
        .with_target(_query(expr, "", "A").instant().format(PromQueryFormat.TABLE))
        .with_transformation(models.DataTransformerConfig(id_val="organize", options={"excludeByName": hidden}))
    )


def states(title: str, legend: str, expr: str, description: str) -> statetimeline.Panel:
    """Return a panel that shows when something held."""
    steps = [models.Threshold(color="transparent", value=None), models.Threshold(color="orange", value=1)]
    return (
        statetimeline.Panel()
        .title(title)
        .description(description)
        .datasource(SOURCE)
        .thresholds(dashboard.ThresholdsConfig().mode(models.ThresholdsMode.ABSOLUTE).steps(steps))
        .color_scheme(dashboard.FieldColor().mode(models.FieldColorModeId.THRESHOLDS))
        .show_value(common_models.VisibilityMode.NEVER)
        .with_target(_query(expr, legend, "A"))
    )


def color(name: str) -> dict[str, object]:
    """Return the property of a fixed colour."""
    return {"color": {"mode": "fixed", "fixedColor": name}}
