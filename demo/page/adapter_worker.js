/** Worker that learns a user's adapter off the main thread, so that the page stays responsive. */

import "jaxrec/worker";
