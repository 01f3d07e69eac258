// Package rules holds the rules that hotsvc ships. They count only where no
// directory of rules exists.
package rules

import "embed"

// FS holds the rule files.
//
//go:embed *.toml
var FS embed.FS
