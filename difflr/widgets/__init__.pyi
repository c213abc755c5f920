"""Every public name and its home: what checkers and editors see, and what ``__init__.py`` loads by."""

from difflr.widgets._panel import Panel as Panel
from difflr.widgets._panel import button as button
from difflr.widgets._panel import message_html as message_html
from difflr.widgets.editor import PlanEditor as PlanEditor
from difflr.widgets.explorer import SplitExplorer as SplitExplorer
from difflr.widgets.live import LiveView as LiveView
from difflr.widgets.rangepanel import RangePanel as RangePanel
from difflr.widgets.replay import Replay as Replay
