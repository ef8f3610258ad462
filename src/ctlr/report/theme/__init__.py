"""How a report looks: its page, tables and drawings."""

import logging
import warnings

logging.getLogger("matplotlib").setLevel(logging.ERROR)  # where it caches its fonts is of no interest
warnings.filterwarnings("ignore", "Glyph .* missing", UserWarning)  # text is drawn by the page, in its own font
