// The page imports LiteRT.js from runtime/, where demo/litert_js.py puts it.
export * from "@litertjs/core";
