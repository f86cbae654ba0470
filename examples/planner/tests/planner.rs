//! The contract of the planner's resources, and the rules of its own.

rollbook_tests::contract!(planner::product());
