#include "server/query_handlers.h"

#include <gmock/gmock.h>

namespace dimwatch::server {
namespace {

std::vector<v1::SeriesPoint> Points(const std::vector<double>& values) {
  std::vector<v1::SeriesPoint> points;
  for (const double value : values) {
    points.emplace_back();
    points.back().set_step(static_cast<std::int64_t>(points.size()));
    points.back().set_value(value);
  }
  return points;
}

TEST(ThinTest, ShortSeriesStayWhole) {
  EXPECT_EQ(Thin(Points({1, 2, 3, 4}), 4).size(), 4U);
  EXPECT_TRUE(Thin({}, 4).empty());
}

TEST(ThinTest, FirstLastLowestAndHighestStayInOrder) {
  std::vector<double> values(10'000, 5.0);
  values[3333] = -1;
  values[7777] = 9;
  for (const std::size_t most : {4U, 5U, 100U, 9999U}) {
    const std::vector<v1::SeriesPoint> thin = Thin(Points(values), most);
    EXPECT_LE(thin.size(), most);
    EXPECT_GE(thin.size(), most / 2);
    EXPECT_EQ(thin.front().step(), 1);
    EXPECT_EQ(thin.back().step(), 10'000);
    bool low = false;
    bool high = false;
    for (std::size_t i = 0; i < thin.size(); ++i) {
      low = low || thin[i].value() == -1;
      high = high || thin[i].value() == 9;
      if (i > 0) {
        EXPECT_LT(thin[i - 1].step(), thin[i].step());
      }
    }
    EXPECT_TRUE(low && high) << most;
  }
}

}  // namespace
}  // namespace dimwatch::server
