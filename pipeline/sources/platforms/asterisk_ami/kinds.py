"""The events of the Asterisk Manager Interface that say nothing of contacts and agents.

These are the names that Asterisk documents (`managerEvent` in its source) or writes into answers
to actions, less those that `translator` reads: a capture of a whole session is full of them.
"""

from __future__ import annotations

_DOCUMENTED = """
Agents AgentsComplete AGIExecEnd AGIExecStart Alarm AlarmClear AOC-D AOC-E AOC-S AorDetail AorList
AorListComplete AsyncAGIEnd AsyncAGIExec AsyncAGIStart AuthDetail AuthList AuthListComplete
AuthMethodNotAllowed BridgeCreate BridgeDestroy BridgeEnter BridgeInfoChannel BridgeInfoComplete
BridgeLeave BridgeListComplete BridgeListItem BridgeMerge BridgeTechnologyListComplete
BridgeTechnologyListItem BridgeVideoSourceUpdate Cdr CEL ChallengeResponseFailed ChallengeSent
ChannelHungup ChannelTalkingStart ChannelTalkingStop ChanSpyStart ChanSpyStop ConfbridgeEnd
ConfbridgeJoin ConfbridgeLeave ConfbridgeList ConfbridgeListComplete ConfbridgeListRooms
ConfbridgeListRoomsComplete ConfbridgeMute ConfbridgeRecord ConfbridgeStart ConfbridgeStopRecord
ConfbridgeTalking ConfbridgeUnmute ContactList ContactListComplete ContactStatus
ContactStatusDetail ContactStatusDetailComplete CoreShowChannel CoreShowChannelMap
CoreShowChannelMapComplete CoreShowChannelsComplete DAHDIChannel DAHDIShowChannels
DAHDIShowChannelsComplete DAHDIShowStatus DAHDIShowStatusComplete DBGetComplete DBGetResponse
DBGetTreeComplete DBGetTreeResponse DeadlockStart DeviceStateChange DeviceStateListComplete
DialBegin DialState DNDState DTMFBegin DTMFEnd EndpointDetail EndpointDetailComplete EndpointList
EndpointListComplete ExtensionStateListComplete ExtensionStatus FailedACL FAXSession
FAXSessionsComplete FAXSessionsEntry FAXStats FAXStatus Flash HangupHandlerPop HangupHandlerPush
HangupHandlerRun IdentifyDetail InboundRegistrationDetail InboundRegistrationDetailComplete
InboundSubscriptionDetail InboundSubscriptionDetailComplete InvalidAccountID InvalidPassword
InvalidTransport ListDialplan Load LoadAverageLimit LocalBridge LocalOptimizationBegin
LocalOptimizationEnd LogChannel MCID MeetmeEnd MeetmeJoin MeetmeLeave MeetmeList
MeetmeListComplete MeetmeListRooms MeetmeListRoomsComplete MeetmeMute MeetmeTalking
MeetmeTalkRequest MemoryLimit MessageWaiting MiniVoiceMail MixMonitorMute MixMonitorStart
MixMonitorStop MWIGet MWIGetComplete NewAccountCode NewCallerid Newchannel NewConnectedLine
NewExten Newexten Newstate OriginateResponse OutboundRegistrationDetail
OutboundRegistrationDetailComplete OutboundSubscriptionDetail OutboundSubscriptionDetailComplete
ParkedCall ParkedCallGiveUp ParkedCallsComplete ParkedCallSwap ParkedCallTimeOut Parkinglot
ParkinglotsComplete PeerEntry PeerlistComplete PeerStatus Pickup PJSIPMaintenanceStatus
PJSIPMaintenanceStatusComplete PresenceStateChange PresenceStateListComplete PRIShowSpansComplete
ReceiveFAX RegistrationsComplete Registry RegistryEntry Reload Rename RequestBadFormat
RequestNotAllowed RequestNotSupported ResourceListDetail ResourceListDetailComplete RTCPReceived
RTCPSent SendFAX SessionLimit ShowDialPlanComplete SpanAlarm SpanAlarmClear Status StatusComplete
SuccessfulAuth TransportDetail UnexpectedAddress Unload UnParkedCall UserEvent VarSet
VoicemailBoxDetailComplete VoicemailPasswordChange VoicemailUserDetailComplete VoicemailUserEntry
VoicemailUserEntryComplete WaitEventComplete Wink
"""

SILENT = frozenset(_DOCUMENTED.split()) | {
    # Of queues and agents, but told by another event as well, or a summary.
    "AgentLogin",  # the member's QueueMemberStatus says it with the name that queues use
    "AgentLogoff",
    "AttendedTransfer",  # AgentComplete says it, for the leg, with Reason transfer
    "BlindTransfer",
    "MusicOnHoldStart",  # also plays to everybody who waits; Hold and Unhold are the agent's
    "MusicOnHoldStop",
    "QueueParams",
    "QueueSummary",
    "QueueSummaryComplete",
}
