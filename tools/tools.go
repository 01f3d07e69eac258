//go:build tools

// Package tools pins the programs that check hotsvc; they are no part of it.
package tools

import _ "honnef.co/go/tools/cmd/staticcheck"
