// Package control
//
// Is: the daemon's ear and mouth. It speaks varlink (https://varlink.org) over a
// unix socket, as interface io.hotsvc: messages are JSON objects, each ended by
// a NUL byte.
//
// Owns: the table of operations, from which the interface description and the
// server's dispatch are made; the socket, its connections and their limits; who
// a caller is and what he may ask; the client for hsctl.
//
// Never: decides anything about services. It turns messages into engine.Call
// and engine.Reply into messages. Never links net/http, text/template or cobra.
package control
