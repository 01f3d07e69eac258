// Package linkwatch
//
// Is: rtnetlink as batches of links.
//
// Owns: decoding links, addresses and default routes; joining them, and the
// device beneath, into one object per ifindex that is published whole, which it
// is when udevd is done with it; setting a link up.
//
// Never: decides whether a link is to be set up, or sets one down.
package linkwatch
