//! The embedded llama.cpp engine. llama.cpp types stay in this folder.
