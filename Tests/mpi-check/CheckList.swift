/// Every check, in the order of the rooms. Checks of training join here from files of their own.
let allChecks: [Check] =
  placeChecks + sumChecks + orderedChecks + pieceChecks + gatherChecks + agreementChecks + windowChecks
  + countingChecks + allocationChecks
  + trainingChecks + frozenChecks
