"""Pictures: one style, and the plan before anything is trained."""

from difflr.extras import require

require("difflr.figures", "matplotlib")
