// Package verify tells whether the customer sees what was pushed: it lays the trace that upstream shows (WeChat
// 物流助手, getPath) beside the pushes of the waybill.
//
//	[Upstream]  asks with a merchant's credentials what it shows of a waybill, and of its order
//	[Compare]   lays that beside the pushes
//	[Runner]    does both by itself for a sample of waybills, and for those that gave cause; differences are kept
//
// What WeChat's documents leave open is decided here so that nothing is raised as a difference that may be right:
//
//	identical nodes   upstream seems to show them once; several equal pushes may be one node, or several
//	order             upstream may keep the order of arrival or sort by action_time: a trace that fits either is in order
//	delay             a push may need a moment until it shows: one that was delivered a moment ago is not missing yet
//	WeChat's own      nodes of types that no push has (300001 stands in getPath's own example) are WeChat's to show
package verify
