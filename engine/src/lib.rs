//! The live map: where is everyone, who is near.
